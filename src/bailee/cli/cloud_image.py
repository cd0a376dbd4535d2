"""`bailee cloud image`: what cloud sessions' machines boot from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bailee.cli.errors import reporting
from bailee.cli.reach import JsonOption
from bailee.cli.show import console, print_json, say, size, table
from bailee.json_values import Json, JsonObject, elements, members, whole

if TYPE_CHECKING:
    from bailee.cloud.image.store import Image

app = typer.Typer(help="Images that cloud sessions' machines boot from.", no_args_is_help=True)

ImagesOption = Annotated[
    Path | None,
    typer.Option(
        "--images", help="The folder of images (else BAILEE_CLOUD_IMAGES, else the user's cache)."
    ),
]


@app.command()
def build(
    extra: Annotated[
        list[str] | None,
        typer.Option("--with", help="A package besides: NAME of Debian, pypi:NAME, npm:NAME."),
    ] = None,
    oci: Annotated[
        Path | None,
        typer.Option("--from-oci", help="A folder with an OCI image layout, to be the root."),
    ] = None,
    name: Annotated[str, typer.Option(help="What it is called.")] = "default",
    images: ImagesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Build an image, as an ordinary user: kernel, initial file system, root."""
    with reporting("cloud"):
        from bailee.cloud.image import store
        from bailee.cloud.image.build import build as make

        image = make(
            images or store.default_folder(),
            extra=extra or (),
            oci=oci,
            name=name,
            log=lambda line: say(f"{line} …", err=True),
        )
        if as_json:
            print_json(_described(image, [name]))
            return
        scripts = elements(image.manifest["scripts_not_run"])
        say(f"image {image.digest[:16]} is built, and called {name}.")
        if beyond := [
            package for package in scripts if package in elements(image.manifest["with"])
        ]:
            say(f"not set up, as no package's script is run: {', '.join(map(str, beyond))}.")


@app.command("list")
def list_images(images: ImagesOption = None, as_json: JsonOption = False) -> None:
    """Every image here, newest first."""
    with reporting("cloud"):
        from bailee.cloud.image import store

        found = [_described(*one) for one in store.every(images or store.default_folder())]
        if as_json:
            print_json(found)
            return
        rows = [
            (
                str(one["image"])[:16],
                _listed(one["names"]),
                one["root"],
                size(whole(one["size"])),
                one["packages"],
                _listed(one["with"]),
            )
            for one in found
        ]
        columns = ("image", "names", "root", "size", "packages", "with")
        console().print(table(columns, rows, right=("size", "packages")))


def _listed(names: Json) -> str:
    return ", ".join(map(str, elements(names)))


def _described(image: Image, names: list[str]) -> JsonObject:
    return {
        "image": image.digest,
        "names": [*names],
        "root": image.manifest["root"],
        "size": sum(
            (image.folder / file).stat().st_size for file in members(image.manifest["files"])
        ),
        "packages": sum(
            len(members(some)) for some in members(image.manifest["packages"]).values()
        ),
        "with": image.manifest["with"],
        "folder": str(image.folder),
    }
