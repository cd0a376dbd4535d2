// A real OpenID provider on loopback: npm `oidc-provider` with its own sign-in pages.
// Accounts are the JSON in ACCOUNTS: {login: claims}. REDIRECT is where the first client comes back
// to. Whoever is named in the file DISABLED, a line each, is there no more. The file GROUPS has the
// groups that each is in ({login: claim}), read anew each time. With a folder ROTATES, each refresh
// token is good once, and who shows one again ends all that it came from; `asked` there gets a line
// for each token that is asked for, and while `held` is there none is answered, for some seconds.
// Prints its issuer when it listens.
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { Provider } from "oidc-provider";

const accounts = JSON.parse(process.env.ACCOUNTS);
const disabled = (id) =>
  process.env.DISABLED !== undefined &&
  fs.existsSync(process.env.DISABLED) &&
  fs.readFileSync(process.env.DISABLED, "utf8").split("\n").includes(id);
const groups = (id) =>
  process.env.GROUPS === undefined ? undefined : JSON.parse(fs.readFileSync(process.env.GROUPS, "utf8"))[id];
const rotates = process.env.ROTATES;
const server = http.createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: "bailee",
        client_secret: "provider-secret",
        redirect_uris: [process.env.REDIRECT ?? "http://127.0.0.1:1/sign-in/provider"],
        grant_types: ["authorization_code", "refresh_token"],
      },
      {
        client_id: "someone-else",
        client_secret: "another-secret",
        redirect_uris: ["http://127.0.0.1:1/sign-in/provider"],
      },
    ],
    claims: { openid: ["sub"], email: ["email", "email_verified"], groups: ["groups"] },
    findAccount: (_context, id) =>
      disabled(id)
        ? undefined
        : { accountId: id, claims: () => ({ sub: id, ...accounts[id], groups: groups(id) }) },
    pkce: { required: () => true },
    cookies: { keys: ["a key of the test"] },
    features: { devInteractions: { enabled: true } },
    ...(rotates === undefined ? {} : { rotateRefreshToken: true }),
  });
  const answer = provider.callback();
  server.on("request", async (request, response) => {
    if (rotates !== undefined && request.method === "POST" && request.url === "/token") {
      fs.appendFileSync(path.join(rotates, "asked"), "asked\n");
      for (let waits = 0; waits < 400 && fs.existsSync(path.join(rotates, "held")); waits++) {
        await new Promise((done) => setTimeout(done, 20));
      }
    }
    answer(request, response);
  });
  console.log(issuer);
});
