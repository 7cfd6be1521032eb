"""Links in folders: what leads out of one is refused, what stays in it is not."""

from pathlib import Path

import pytest
from naming import naming

from wmcontrol.untrusted import check_links


def put(path: Path, content: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


@pytest.mark.parametrize("link", ["a", "deep/er/a"])
def test_a_link_out_of_a_folder_is_named_with_where_it_leads(link: str, tmp_path: Path) -> None:
    secret = put(tmp_path / "secret" / "key")
    for target in (secret, secret.parent, tmp_path / "nothing", Path("/etc")):
        place = put(tmp_path / "set" / link)
        check_links(tmp_path / "set")
        place.unlink()
        place.symlink_to(target)
        with pytest.raises(ValueError, match=naming(place, target)):
            check_links(tmp_path / "set")
        place.unlink()


def test_names_are_looked_at_alone_and_what_is_on_the_way_to_them_too(tmp_path: Path) -> None:
    put(tmp_path / "secret" / "key")
    put(tmp_path / "set" / "a")
    (tmp_path / "set" / "b").symlink_to(tmp_path / "secret")
    check_links(tmp_path / "set", "a")
    with pytest.raises(ValueError, match=naming("b/key", "secret/key")):
        check_links(tmp_path / "set", "a", "b/key")


def test_links_that_stay_in_the_folder_and_a_link_to_the_folder_itself_are_none_of_that(tmp_path: Path) -> None:
    put(tmp_path / "real" / "a")
    (tmp_path / "real" / "b").symlink_to("a")
    (tmp_path / "real" / "round").symlink_to(".")
    (tmp_path / "set").symlink_to("real")
    check_links(tmp_path / "set")


def test_the_cache_of_the_hub_has_its_files_beside_the_snapshots(tmp_path: Path) -> None:
    repository = tmp_path / "models--someone--pushes"
    blob, snapshot = put(repository / "blobs" / "0f"), repository / "snapshots" / "c0ffee"
    put(snapshot / "meta" / "b")
    (snapshot / "meta" / "a").symlink_to("../../../blobs/0f")
    check_links(snapshot)
    check_links(snapshot / "meta")
    (repository / "refs").mkdir()
    (repository / "refs" / "a").symlink_to(blob)
    with pytest.raises(ValueError, match=naming("refs/a")):
        check_links(repository / "refs")
