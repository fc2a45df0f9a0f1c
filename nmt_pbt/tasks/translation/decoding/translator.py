"""Trained models of a run at work: text in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

from nmt_pbt.tasks.kept_model import KeptModel
from nmt_pbt.tasks.translation.decoding.attention_record import SentenceAttention
from nmt_pbt.tasks.translation.decoding.decoding_options import DecodingOptions
from nmt_pbt.tasks.translation.decoding.long_lines import LongLines, SentenceSplitter
from nmt_pbt.tasks.translation.decoding.output_limit import OutputLimit
from nmt_pbt.tasks.translation.settings.tree import TranslationSettings

if TYPE_CHECKING:
    from nmt_pbt.tasks.translation.decoding.decoder import TextDecoder, Translation


class Translator:
    """One live model, or several that translate together.

    Args:
        chosen: Which; from `choose_models`. Of several runs, the settings of the first one's decide.
        options: How to search; None takes the run's.
        split_sentences: Whether `translate` translates the sentences of a line one by one.

    Raises:
        StateError: A model's file is damaged.

    Attributes:
        options: How it searches.
        long_lines: What was translated that is longer than anything in training.
    """

    def __init__(
        self,
        chosen: Sequence[KeptModel[TranslationSettings]],
        options: DecodingOptions | None = None,
        split_sentences: bool = False,
    ) -> None:
        settings = chosen[0].settings
        self.options = options or DecodingOptions.of(settings.evaluation)
        self.decoder = load_decoder(chosen)
        # Of a run that does not know: training pairs with more were left out.
        longest = OutputLimit.read(chosen[0].run).longest_source
        self.long_lines = LongLines(settings.corpus.max_length if longest is None else longest)
        languages = settings.corpus.source_language, settings.corpus.target_language
        self._splitter = SentenceSplitter(*languages) if split_sentences else None

    def translate(self, lines: Sequence[str]) -> list[str]:
        """Translate sentences.

        Args:
            lines: Sentences in the source language; a blank one stays blank.

        Returns:
            As many translations, in the same order.

        Raises:
            OutOfMemoryError: Even one sentence does not fit into memory.
        """
        from nmt_pbt.tasks.translation.decoding.decoder import first_texts

        if self._splitter is None:
            return first_texts(self.n_best(lines, 1))
        sentences = [self._splitter.split(line) for line in lines]
        found = iter(first_texts(self.n_best([sentence for its in sentences for sentence in its], 1)))
        return [self._splitter.join(list(islice(found, len(its)))) for its in sentences]

    @property
    def warning(self) -> str | None:
        """What has to be told of the lines translated so far, in a sentence; None for nothing."""
        return self.long_lines.told(self._splitter is not None)

    def n_best(self, lines: Sequence[str], count: int) -> list[list[Translation]]:
        """Return the best translations of each sentence, the best first; see `translate`.

        Args:
            lines: Sentences in the source language.
            count: How many translations of each, at most the beam width. Of a blank line there is one, and a very
                short search may find fewer.
        """
        self.long_lines.count([len(ids) for ids in self.decoder.subwords.encode(lines)])
        return self.decoder.translate_n_best(lines, self.options, count)

    def score(self, lines: Sequence[str], translations: Sequence[str]) -> list[Translation]:
        """Score given translations as if search had found them; see `translate`."""
        return self.decoder.score(lines, translations, self.options)

    def attention(self, lines: Sequence[str], translations: Sequence[Translation]) -> list[SentenceAttention]:
        """Return where the model looked while it wrote translations of some lines; of blank lines nothing."""
        return self.decoder.attention(lines, translations)


def load_decoder(chosen: Sequence[KeptModel[TranslationSettings]]) -> TextDecoder:
    """Build and load models.

    Args:
        chosen: Which; from `choose_models`. All have the subwords of the first.

    Returns:
        A decoder that translates with all of them.

    Raises:
        StateError: A model's file is damaged, or of another shape than the journal says.
    """
    from nmt_pbt.tasks.state import StateStore
    from nmt_pbt.tasks.translation.corpus.subwords import SUBWORDS, Subwords
    from nmt_pbt.tasks.translation.decoding.decoder import TextDecoder
    from nmt_pbt.tasks.translation.decoding.translation_model import TranslationModel

    run, settings = chosen[0].run, chosen[0].settings
    subwords = Subwords.load((run / SUBWORDS).read_bytes())
    limit, models = OutputLimit.read(run), []
    for one in chosen:
        model = TranslationModel(one.settings, subwords, one.values, limit=limit)
        model.load(StateStore(one.folder).load(one.name))
        models.append(model)
    if len(models) == 1:
        return models[0]
    return TextDecoder([model.model for model in models], subwords, settings.evaluation.batch_size, limit)
