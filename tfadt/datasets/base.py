"""What the builders share: features, generation with or without Beam, the account of every row, and the build's origin."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from tfadt.data.cleaning import Account
from tfadt.datasets.account import ROWS, total
from tfadt.datasets.configs import Source, choose_source
from tfadt.datasets.files import FileRange, split_files
from tfadt.datasets.origin import FILES, check_origin, digests
from tfadt.datasets.rows import Example, ItemFilter, RowReader
from tfadt.errors import ConfigError, DataError

_DOCS = {
    "user_id": "User, as the source writes it.",
    "item_id": "Item, as the source writes it.",
    "rating": "Rating, 1 to 5; of a video the share that was watched.",
    "dwell_time": "Time on the page, or before the video, seconds.",
    "timestamp": "Time of the interaction, seconds since 1970 (UTC).",
    "false_positive": "Whether the user disliked the item, by the rating, the dwell time or the authors' flag.",
}


class InteractionBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """Builder of interactions that users put into TFDS's manual directory. A subclass has its own folder and name.

    Examples keep the order of their files. Lines that cannot be used are counted by reason in
    `builder.info.metadata["rows"]`, and reported when the data set has been built.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "Initial release."}
    HOMEPAGE: ClassVar[str]

    def _info(self) -> tfds.core.DatasetInfo:
        config = self.builder_config
        kinds: dict[str, Any] = {"user_id": None, "item_id": None}
        if config.rule != "false_positive":
            kinds[config.rule] = np.float32
        if config.timed:
            kinds["timestamp"] = np.int64
        kinds["false_positive"] = np.bool_
        features = {
            name: tfds.features.Scalar(kind, doc=_DOCS[name]) if kind else tfds.features.Text(doc=_DOCS[name])
            for name, kind in kinds.items()
        }
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features),
            homepage=self.HOMEPAGE,
            disable_shuffling=True,
            metadata=tfds.core.BeamMetadataDict() if config.beam else tfds.core.MetadataDict(),
        )

    def download_and_prepare(self, *, download_dir: Any = None, download_config: Any = None, **kwargs: Any) -> None:
        """Builds the data set where it is not yet, and reports how many lines could not be used, and why.

        Raises:
            DataError: If it was built from other files than those that are there now, or cannot be built.
        """
        config = download_config or tfds.download.DownloadConfig()
        reused = self.is_prepared() and not config.download_mode.overwrite_dataset
        if reused:
            folder = config.manual_dir or tfds.core.Path(download_dir or self.data_dir_root / "downloads") / "manual"
            files = self._files(self._places(tfds.core.Path(folder).expanduser()))
            check_origin(self.data_path, self.info.metadata.get(FILES, {}), _all_of(files))
        super().download_and_prepare(download_dir=download_dir, download_config=config, **kwargs)
        if not reused:
            for split, rows in self.info.metadata.get(ROWS, {}).items():
                self._report(split, rows)

    def _report(self, split: str, rows: Mapping[str, Any]) -> None:
        reasons = ", ".join(f"{reason}: {count:,}" for reason, count in rows["rejected"].items())
        logging.getLogger(__name__).log(
            logging.WARNING if reasons else logging.INFO,
            "%s, %s: %s rows in, %s kept. Rejected: %s.",
            self._label,
            split,
            f"{rows['in']:,}",
            f"{rows['kept']:,}",
            reasons or "none",
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        folder = self._folder(dl_manager)
        chosen = self._files(self._places(folder))
        for table, sources in self.builder_config.sources.items():
            if table not in chosen:
                expected = " or ".join(source.pattern for source in sources)
                raise DataError(
                    f"{self._label} reads {expected} (or .gz), which {folder} does not hold.{self._others(folder)}"
                )
        # Before they are read, so that a file that changes meanwhile is found later.
        self.info.metadata[FILES] = digests(_all_of(chosen))
        item_filter = self._item_filter({table: paths for table, (_, paths) in chosen.items()})
        generators = {}
        for split in self.builder_config.splits:
            source, paths = chosen[split]
            config = self.builder_config
            reader = RowReader(source.format, config.rule, source.timed, item_filter, config.settings)
            generators[split] = self._generate_examples(split, reader, split_files(paths, source.format.header))
        return generators

    def _item_filter(self, files: Mapping[str, Sequence[tfds.core.Path]]) -> ItemFilter | None:
        """Returns which items the data set is about, None for all.

        Args:
            files: Files of each table, of which some may tell it.
        """
        return None

    def _places(self, folder: tfds.core.Path) -> list[tfds.core.Path]:
        """Returns the folders that users may have put files into."""
        return [folder / self.name, folder]

    def _files(self, places: Sequence[tfds.core.Path]) -> dict[str, tuple[Source, list[tfds.core.Path]]]:
        """Returns the source and the files of each table that has some."""
        chosen = {table: choose_source(places, sources) for table, sources in self.builder_config.sources.items()}
        return {table: found for table, found in chosen.items() if found is not None}

    def _generate_examples(self, split: str, reader: RowReader, parts: list[FileRange]) -> Any:
        if not self.builder_config.beam:
            return self._stream(split, reader, parts)
        try:
            from tfadt.datasets.beam_reading import read_with_beam
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"{self._label} needs Apache Beam: pip install 'tfadt[beam]'. {self.name}/raw reads the same without it."
            ) from error
        return read_with_beam(split, reader, parts, self.info.metadata)

    def _stream(self, split: str, reader: RowReader, parts: list[FileRange]) -> Iterator[tuple[int, Example]]:
        account, kept = Account(), 0
        for part in parts:
            for key, example in reader.read(part, account):
                kept += 1
                yield key, example
        self.info.metadata.setdefault(ROWS, {})[split] = total([(account, kept)], parts)

    def _folder(self, dl_manager: tfds.download.DownloadManager) -> tfds.core.Path:
        try:
            return dl_manager.manual_dir
        except AssertionError as error:  # What TFDS raises for a folder that is not there or empty.
            reason = str(error).split(". ")[0]
            raise DataError(f"{reason}. Expected the files of {self._label}: {self.builder_config.patterns}.") from error

    def _others(self, folder: tfds.core.Path) -> str:
        """Returns a hint at the configurations whose files are there."""
        names = [
            f"{self.name}/{config.name}"
            for config in self.BUILDER_CONFIGS
            if not config.beam and all(choose_source(self._places(folder), sources) for sources in config.sources.values())
        ]
        return f" It holds the files of {' and '.join(names)}." if names else ""

    @property
    def _label(self) -> str:
        return f"{self.name}/{self.builder_config.name}"


def _all_of(files: Mapping[str, tuple[Source, list[tfds.core.Path]]]) -> list[tfds.core.Path]:
    return [path for _, paths in files.values() for path in paths]
