#!/usr/bin/env python3
"""Checks, with nothing of bailee, that an entry is in a log: a proof, an entry, and whom you trust.

    python3 verify_proof.py TRUST PROOF [ENTRY]
    python3 verify_proof.py TRUST NOTE
    python3 verify_proof.py TRUST FOLDER [EARLIER]

TRUST is a policy as c2sp.org/tlog-policy says: the public keys of the log and of the witnesses that
must have seen it. You wrote it, or had it from somebody you believe. PROOF is a .tlog-proof file
(c2sp.org/tlog-proof). ENTRY is the file that it is about. A proof may bring a salt of 32 bytes, and
what is in the log is SHA-256 of the salt and the entry then; behind the salt it may bring the entry
too, and no file is needed.

NOTE is a text that the log's key has signed (c2sp.org/signed-note), as the result of a search for
what remains of somebody.

FOLDER is a copy of a log (c2sp.org/tlog-tiles). All its entries together must be what its
checkpoint says; and the first of them what EARLIER says, a checkpoint that you kept: then nothing
was changed or taken out since.

Exit status 0: it is shown, and what is known then is printed. 1: not shown, and why.

It needs Python 3.10 and the package cryptography; for keys of ML-DSA-44, version 50 of it.
"""

import base64
import hashlib
import re
import sys
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Refused(Exception):
    """Why it is not shown."""


def demand(holds, why):
    """Go on only if it holds."""
    if not holds:
        raise Refused(why)


def unbase64(text):
    """Bytes, from base64 in the one form that they have."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raise Refused("something is not base64") from None
    demand(base64.b64encode(raw).decode() == text, "base64 is not written as it must be")
    return raw


def number(text):
    """A size or an index."""
    demand(re.fullmatch("0|[1-9][0-9]{0,18}", text) and int(text) < 1 << 63, "not a number")
    return int(text)


# What is trusted.


def read_key(vkey):
    """A public key: (name, id) by which a signature says whose it is, the kind, the key's bytes."""
    name, key_id, encoded = vkey.split("+", 2)
    raw = unbase64(encoded)
    expected = hashlib.sha256(name.encode() + b"\n" + raw).hexdigest()[:8]
    demand(key_id == expected, f"the key of {name} was copied wrong")
    return (name, bytes.fromhex(key_id)), raw[0], raw[1:]


def read_trust(text):
    """The logs' keys, the witnesses' keys by name, groups by name, and the quorum's name."""
    logs, witnesses, groups, quorum = [], {}, {}, None
    for line in text.split("\n"):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        least = {"log": 2, "witness": 3, "group": 4, "quorum": 2}.get(words[0], 0)
        demand(len(words) >= least, f"a line of the policy that begins with {words[0]} is cut off")
        if words[0] == "log":
            logs.append(read_key(words[1]))
        elif words[0] == "witness":
            witnesses[words[1]] = read_key(words[2])
        elif words[0] == "group":
            _, name, least, *members = words
            demand(all(one in witnesses or one in groups for one in members), "an unknown member")
            least = {"any": 1, "all": len(members)}.get(least) or int(least)
            demand(0 < least <= len(members), "a group needs one or more of its members")
            groups[name] = least, members
        elif words[0] == "quorum":
            quorum = words[1]
            known = quorum == "none" or quorum in witnesses or quorum in groups
            demand(known, "an unknown quorum")
        else:
            raise Refused("a line of the policy is not known")
    demand(quorum, "the policy names no quorum")
    return logs, witnesses, groups, quorum


# What was signed.


def verify_signature(key, checkpoint, text, signature):
    """One line under the checkpoint, by the key that it names."""
    (name, _), kind, public = key
    if kind == 1:  # Ed25519 over the text
        message = text
    else:  # a cosignature: it begins with its time
        at, signature = signature[:8], signature[8:]
        if kind == 4:  # Ed25519
            seconds = int.from_bytes(at, "big")
            message = f"cosignature/v1\ntime {seconds}\n".encode() + text
        else:  # ML-DSA-44
            demand(kind == 6, f"the key of {name} is of a kind not known here")
            demand(text.count(b"\n") == 3, "the checkpoint has lines that are not signed")
            origin, size, root = checkpoint
            names = [bytes([len(one.encode())]) + one.encode() for one in (name, origin)]
            message = b"subtree/v1\n\0" + names[0] + at + names[1]
            message += bytes(8) + size.to_bytes(8, "big") + root
    if kind == 6:
        from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey as PublicKey
    else:
        PublicKey = Ed25519PublicKey
    try:
        PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        raise Refused(f"the signature of {name} does not fit") from None


def split(note):
    """A note's text, and the lines under it."""
    text, blank, lines = note.rpartition("\n\n")
    demand(blank and lines.endswith("\n"), "no signatures stand under it")
    demand(not re.search(r"[\x00-\x09\x0b-\x1f]", note), "what was signed is not a text")
    return text + "\n", lines


def signers(text, lines, keys, checkpoint=None):
    """Which of the keys, by name and id, signed a text."""
    known = {key[0]: key for key in keys}
    signed = set()
    for line in lines[:-1].split("\n"):
        found = re.fullmatch(r"— ([^\s+]+) (\S+)", line)
        raw = unbase64(found[2]) if found else b""
        demand(len(raw) > 4, "a line under the checkpoint is no signature")
        name = found[1]
        key = known.get((name, raw[:4]))
        if key and key[0] not in signed:
            verify_signature(key, checkpoint, text.encode(), raw[4:])
            signed.add(key[0])
    return signed


def verify_note(note, trust):
    """The text of a note, and the name of the log that signed it."""
    text, lines = split(note)
    keys = [key for key in read_trust(trust.decode())[0] if key[1] == 1]
    signed = signers(text, lines, keys)
    demand(signed, "it is no proof, and no note that a log signed that you trust")
    demand(not re.fullmatch("[0-9]+", text.split("\n")[1]), "it is a checkpoint, and no note")
    return text, signed.pop()[0]


def verify_checkpoint(note, trust):
    """The origin, size and root of a checkpoint that the log and the quorum signed."""
    logs, witnesses, groups, quorum = trust
    text, lines = split(note)
    origin, size, root, *_ = [*text.split("\n"), "", ""]
    size, root = number(size), unbase64(root)
    demand(len(root) == 32, "the root is not 32 bytes")
    signed = signers(text, lines, [*logs, *witnesses.values()], (origin, size, root))

    def holds(name):
        if name == "none" or name in witnesses:
            return name == "none" or witnesses[name][0] in signed
        least, members = groups[name]
        return sum(map(holds, members)) >= least

    by_log = any(key[0] in signed and key[0][0] == origin for key in logs)
    demand(by_log, "the checkpoint is not signed by a log that you trust")
    demand(holds(quorum), "the checkpoint is not cosigned by the witnesses that you ask for")
    return origin, size, root


# What is in the log.


def root_of(leaf, index, size, hashes):
    """The root that the hashes lead to (RFC 9162, 2.1.3.2)."""
    demand(index < size, "the index is outside of the log")
    at, last, found = index, size - 1, leaf
    for other in hashes:
        demand(last and len(other) == 32, "the proof has another length than it must")
        if at & 1 or at == last:
            found = hashlib.sha256(b"\1" + other + found).digest()
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = hashlib.sha256(b"\1" + found + other).digest()
        at, last = at >> 1, last >> 1
    demand(last == 0, "the proof has another length than it must")
    return found


def verify(trust, proof, entry=None):
    """The origin, the size, the entry's index, and the entry. All arguments are bytes of files."""
    head, _, note = proof.decode().partition("\n\n")
    first, *lines = head.split("\n")
    demand(first == "c2sp.org/tlog-proof@v1", "this is no proof of c2sp.org/tlog-proof@v1")
    if lines and lines[0].startswith("extra "):
        extra = unbase64(lines.pop(0)[len("extra ") :])
        salt, within = extra[:32], extra[32:] or None
        entry = within if entry is None else entry
        demand(entry is not None, "the proof does not bring the entry, and no file was given")
        demand(within in (None, entry), "the proof brings another entry than this file")
        committed = hashlib.sha256(salt + entry).digest()
    else:
        demand(entry is not None, "the proof does not bring the entry, and no file was given")
        committed = entry
    demand(lines and lines[0].startswith("index "), "the proof says no index")
    index = number(lines.pop(0)[len("index ") :])
    origin, size, root = verify_checkpoint(note, read_trust(trust.decode()))
    leaf = hashlib.sha256(b"\0" + committed).digest()
    found = root_of(leaf, index, size, [unbase64(line) for line in lines])
    demand(found == root, "this entry is not in the log")
    return origin, size, index, entry


# A whole log.


def read_entries(folder, size):
    """The entries of a log, in order, bundle by bundle."""
    for number in range(-(-size // 256)):
        digits = f"{number:0{-(-len(str(number)) // 3) * 3}}"
        parts = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        name = "/".join([*(f"x{one}" for one in parts[:-1]), parts[-1]])
        width = min(256, size - 256 * number)
        path = folder / "tile" / "entries" / name
        path = path if path.exists() else Path(f"{path}.p") / str(width)
        bundle = path.read_bytes()
        for _ in range(width):
            end = 2 + int.from_bytes(bundle[:2], "big")
            demand(2 <= end <= len(bundle), f"tile/entries/{name} is cut")
            yield bundle[2:end]
            bundle = bundle[end:]


def root_over(peaks):
    """The root over the full trees that a log is made of so far (RFC 6962, 2.1)."""
    root = peaks[-1][1] if peaks else hashlib.sha256().digest()
    for _, left in reversed(peaks[:-1]):
        root = hashlib.sha256(b"\1" + left + root).digest()
    return root


def verify_log(trust, folder, earlier=None):
    """The origin and size of a copied log, and the size of the earlier checkpoint."""
    policy = read_trust(trust.decode())
    origin, size, root = verify_checkpoint((folder / "checkpoint").read_bytes().decode(), policy)
    before = (origin, 0, hashlib.sha256().digest())
    if earlier is not None:
        before = verify_checkpoint(earlier.decode(), policy)
    demand(before[0] == origin, "the earlier checkpoint is of another log")
    demand(
        before[1] <= size, f"the log was rolled back: it had {before[1]} entries, and has {size}"
    )
    peaks = []  # (leaves, hash) of full trees, the largest first
    at_earlier = root_over(peaks)
    for count, entry in enumerate(read_entries(folder, size), 1):
        leaves, found = 1, hashlib.sha256(b"\0" + entry).digest()
        while peaks and peaks[-1][0] == leaves:
            found = hashlib.sha256(b"\1" + peaks.pop()[1] + found).digest()
            leaves *= 2
        peaks.append((leaves, found))
        if count == before[1]:
            at_earlier = root_over(peaks)
    demand(
        root_over(peaks) == root, "the entries are not those that the checkpoint was signed over"
    )
    demand(at_earlier == before[2], "the log was forked: it does not begin with the earlier one")
    return origin, size, before[1]


def shown(text):
    """A text of somebody else's, for a terminal."""
    return "".join(one if one.isprintable() or one == "\n" else "?" for one in text)


def main(arguments):
    """Say whether it is shown; the exit status."""
    if len(arguments) not in (2, 3):
        print(__doc__)
        return 2
    try:
        if Path(arguments[1]).is_dir():
            trust, *earlier = (Path(name).read_bytes() for name in [arguments[0], *arguments[2:]])
            origin, size, before = verify_log(trust, Path(arguments[1]), *earlier)
            print(f"{origin} has {size} entries, all as signed; the first {before} are the earlier")
            return 0
        files = [Path(name).read_bytes() for name in arguments]
        if len(files) == 2 and not files[1].startswith(b"c2sp.org/tlog-proof@"):
            text, name = verify_note(files[1].decode(), files[0])
            print(f"this note is as {name} signed it:\n{shown(text)}")
            return 0
        origin, size, index, entry = verify(*files)
    except (Refused, ValueError, LookupError, OSError) as error:
        print(f"not shown: {error}", file=sys.stderr)
        return 1
    print(f"entry {index} of {origin}, which had {size} entries then, is ", end="")
    if len(arguments) == 3:
        print("this file")
    else:
        print("\n" + shown(entry.decode("utf-8", "backslashreplace")))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
