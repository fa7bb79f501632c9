"""The library of images: list, import, verify, make smaller, compare, remove."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from dashboards.api.bounds import Body, ImageName, ImageVersion, PathText, Text
from dashboards.api.errors import UnknownError
from dashboards.api.roles import Admin, Operator, Viewer
from dashboards.api.shapes import Encoded, answers
from dashboards.api.work import Job, Work
from dashboards.desk import Desk, Progress
from dashboards.desk_rules import LARGEST_DISK
from protocol.operators import ImageNews

OtherVersion = Annotated[int, Query(ge=1, le=1 << 31)]


class ImportOrder(Body):
    """What to import."""

    path: PathText
    """of a file or block device on the broadcaster's machine"""
    name: Text


class ShrinkOrder(Body):
    """How small a disk is to be."""

    disk_size: Annotated[int, Field(ge=0, le=LARGEST_DISK, strict=True)]
    """bytes of the smallest disk that the image must fit on; 0 for as small as it gets"""


class Removed(Body):
    """What the removal has freed."""

    freed_bytes: int


class Comparison(Body):
    """What changed between two versions, in bytes of the disk."""

    changed_bytes: int
    stored_bytes: int
    ranges: list[Annotated[list[int], Field(min_length=2, max_length=2)]]
    """offset and length"""


def images_router(desk: Desk, work: Work) -> APIRouter:
    """Routes under /images."""
    router = APIRouter(prefix="/images", tags=["images"])

    def known(name: str, *versions: int) -> None:
        there = {image.version for image in desk.fleet().images if image.name == name}
        if not there.issuperset(versions):
            raise UnknownError("there is no such version of such an image: look at the list of images")

    @router.get("", summary="All versions of all images", **answers(ImageNews, "the images", is_list=True))
    async def show_images(user: Viewer) -> Encoded:
        return Encoded(desk.fleet().images)

    @router.post("/import", summary="Add an image by its path", **answers(Job, "the job", status=202))
    async def import_image(user: Admin, body: ImportOrder) -> Encoded:
        async def run(progress: Progress) -> dict[str, Any]:
            name, version = await desk.import_image(user, body.path, body.name, progress)
            return {"name": name, "version": version}

        return Encoded(work.begin(user, "import", body.name, run), 202)

    @router.post(
        "/{name}/{version}/verify", summary="Read and check every chunk", **answers(Job, "the job", status=202)
    )
    async def verify_image(user: Operator, name: ImageName, version: ImageVersion) -> Encoded:
        known(name, version)

        async def run(progress: Progress) -> dict[str, Any]:
            return await desk.verify_image(user, name, version, progress)

        return Encoded(work.begin(user, "verify", name, run), 202)

    @router.post(
        "/{name}/{version}/shrink",
        summary="Add a version that fits on a smaller disk",
        **answers(Job, "the job", status=202),
    )
    async def shrink_image(user: Admin, name: ImageName, version: ImageVersion, body: ShrinkOrder) -> Encoded:
        known(name, version)

        async def run(progress: Progress) -> dict[str, Any]:
            made = await desk.shrink_image(user, name, version, body.disk_size, progress)
            return dict(zip(("name", "version", "disk_size"), made, strict=True))

        return Encoded(work.begin(user, "shrink", name, run), 202)

    @router.get("/compare", summary="What changed between two versions")
    async def compare_versions(
        user: Viewer, name: Annotated[Text, Query()], old_version: OtherVersion, new_version: OtherVersion
    ) -> Comparison:
        known(name, old_version, new_version)
        return Comparison.model_validate(await desk.compare_versions(user, name, old_version, new_version))

    @router.delete("/{name}/{version}", summary="Remove one version; refused while a session uses it")
    async def remove_image(user: Admin, name: ImageName, version: ImageVersion) -> Removed:
        known(name, version)
        return Removed(freed_bytes=await desk.remove_image(user, name, version))

    return router
