"""A disk that is full in the midst of an export or a push is told in one sentence and leaves nothing behind."""

import pytest
from full_disk import files_of_at_most
from model_cases import checkerboard, make
from serving_cases import renumber

from tfadt.errors import DataError
from tfadt.models.gmf import GMF
from tfadt.serving.export.exporter import export_model
from tfadt.serving.push import push


# Within the warm-up records and metadata, the variables, the graph.
@pytest.mark.parametrize("limit", [200, 5_000, 20_000])
def test_a_full_disk_is_told_and_leaves_nothing(limit, exports, tmp_path):
    version = renumber(exports["gmf"], tmp_path / "blessed" / "gmf" / "1")
    folder, data = tmp_path / "to" / "gmf", checkerboard()
    model = make(GMF, data)
    for work, *arguments in ((export_model, model, data, folder), (push, version, str(folder.parent))):
        with pytest.raises(DataError) as told, files_of_at_most(limit):
            work(*arguments)
        assert str(told.value).startswith(f"{folder} cannot be written: ")
        assert "\n" not in str(told.value)
    assert [path.name for path in folder.iterdir()] == [".tfadt-lock"]
