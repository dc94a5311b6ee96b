"""What we make on disk is ours alone; what exists is left as it is."""

import stat
from pathlib import Path

import pytest
from sqlalchemy import text

from service.bootstrap import open_parts
from service.config import Settings
from service.database import Database
from service.embedded.lock import only_one
from service.folders import make_file, make_folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_data_folder_and_its_database_are_ours_alone(tmp_path: Path) -> None:
    folder = tmp_path / "lib" / "paperlark"
    parts = open_parts(Settings(data_dir=folder))
    with parts.database.reading() as session:
        session.execute(text("SELECT 1"))
        found = {path.name: mode(path) for path in folder.iterdir()}
    parts.database.close()

    assert (mode(folder), mode(folder.parent)) == (0o700, 0o700)
    assert {"paperlark.sqlite3", "paperlark.sqlite3-wal", "paperlark.sqlite3-shm"} <= set(found)
    assert set(found.values()) == {0o600}


def test_every_way_to_the_folder_makes_it_alike(tmp_path: Path) -> None:
    with only_one(tmp_path / "served"):
        assert mode(tmp_path / "served") == 0o700
    make_folder(tmp_path / "kept" / "broker")
    assert (mode(tmp_path / "kept"), mode(tmp_path / "kept" / "broker")) == (0o700, 0o700)


def test_what_exists_keeps_its_permissions(tmp_path: Path) -> None:
    folder, file = tmp_path / "shared", tmp_path / "shared" / "paperlark.sqlite3"
    folder.mkdir()
    folder.chmod(0o750)
    file.touch()
    file.chmod(0o640)

    make_folder(folder)
    make_file(file)
    database = Database(f"sqlite:///{file}")
    with database.transaction() as session:
        session.execute(text("CREATE TABLE larks (id INTEGER)"))
    database.close()

    assert (mode(folder), mode(file)) == (0o750, 0o640)


def test_a_file_in_the_folders_place_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "data")
    with pytest.raises(NotADirectoryError):
        make_folder(tmp_path / "data" / "broker")


def test_a_database_in_memory_makes_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    database = Database("sqlite://")
    with database.reading() as session:
        assert session.execute(text("SELECT 1")).scalar() == 1
    database.close()
    assert list(tmp_path.iterdir()) == []
