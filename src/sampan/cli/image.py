"""``sampan image``: the machine's images, shared by all clusters and nodes on it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sampan.cli.options import cluster_options, report
from sampan.cluster.config import ClusterError

if TYPE_CHECKING:
    from sampan.runtime.images.store import ImageStore


@click.group("image")
def command() -> None:
    """Build, import, list and remove images. They are stored once per machine."""


def open_store(data_dir: str) -> ImageStore:
    from sampan.runtime.images.store import ImageStore

    return ImageStore(Path(data_dir) / "images")


@command.command("build")
@cluster_options
@click.option("--from-debian", "packages", multiple=True, required=True, metavar="PACKAGE",
              help="A Debian package to put in, with what it depends on (repeatable).")
@click.option("-t", "--tag", required=True, metavar="NAME[:TAG]", help="What to call the image.")
def build(name: str, data_dir: str, packages: tuple[str, ...], tag: str) -> None:
    """Make an image out of Debian packages, where no registry is in reach."""
    from sampan.runtime.images.build import build_from_debian

    began = time.monotonic()
    report(f"fetching and unpacking {', '.join(packages)}")
    image = build_from_debian(open_store(data_dir), packages, tag)
    click.echo(f"{tag} is {image[:19]}, made in {time.monotonic() - began:.1f} s")


@command.command("import")
@cluster_options
@click.argument("archive", type=click.Path(exists=True, dir_okay=False))
@click.option("-t", "--tag", "tags", multiple=True, metavar="NAME[:TAG]", help="What to call it [default: as inside].")
def import_(name: str, data_dir: str, archive: str, tags: tuple[str, ...]) -> None:
    """Take in an archive made by 'docker save' or in OCI layout."""
    from sampan.runtime.images.importing import import_archive

    for image in import_archive(open_store(data_dir), Path(archive), tags):
        click.echo(image)


@command.command("list")
@cluster_options
def list_(name: str, data_dir: str) -> None:
    """List the machine's images."""
    rows = [(tag, image.id.removeprefix("sha256:")[:12], f"{image.size_bytes / 1e6:.1f} MB")
            for image in open_store(data_dir).images() for tag in image.tags or ("<none>",)]
    width = max([len(row[0]) for row in rows] + [len("NAME")])
    click.echo(f"{'NAME':{width}}  {'IMAGE ID':12}  SIZE")
    for tag, identity, size in sorted(rows):
        click.echo(f"{tag:{width}}  {identity:12}  {size}")


@command.command("rm")
@cluster_options
@click.argument("names", nargs=-1, required=True)
def rm(name: str, data_dir: str, names: tuple[str, ...]) -> None:
    """Remove images that no container uses."""
    store = open_store(data_dir)
    for each in names:
        if store.find(each) is None:
            raise ClusterError(f'no image "{each}": see \'sampan image list\'')
        store.remove(each)
        click.echo(f"removed {each}")
