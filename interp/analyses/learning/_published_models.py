"""Published models: how many parameters, how many training tokens, and which paper says so.

Only numbers that a paper prints. Words a person could read are these tokens times a stated share.
"""

from dataclasses import dataclass

WORDS_PER_TOKEN = 0.75
"""An assumption for English text cut into sub-words; it differs from tokenizer to tokenizer."""


@dataclass(frozen=True, kw_only=True)
class PublishedModel:
    """One published model.

    Attributes:
        name: the model's name.
        parameters: how many parameters the model has.
        tokens: how many tokens the model was trained on.
        source: the paper, and where in it the numbers stand.
    """

    name: str
    parameters: float
    tokens: float
    source: str


_GPT3 = "Brown et al. 2020, arXiv 2005.14165, table 2.1"
_PYTHIA = "tokens: Biderman et al. 2023, arXiv 2304.01373; parameters: EleutherAI's model cards"
_CHINCHILLA = "Hoffmann et al. 2022, arXiv 2203.15556, table 1"
_LLAMA = "Touvron et al. 2023, arXiv 2302.13971, table 2"
_LLAMA2 = "Touvron et al. 2023, arXiv 2307.09288, table 1"
_LLAMA3 = "Grattafiori et al. 2024, arXiv 2407.21783, section 1"
_SMOLLM2 = "Ben Allal et al. 2025, arXiv 2502.02737"

PUBLISHED = (
    PublishedModel(name="GPT-3 125M", parameters=125e6, tokens=300e9, source=_GPT3),
    PublishedModel(name="GPT-3", parameters=175e9, tokens=300e9, source=_GPT3),
    PublishedModel(name="Gopher", parameters=280e9, tokens=300e9, source=_CHINCHILLA),
    PublishedModel(name="Chinchilla", parameters=70e9, tokens=1.4e12, source=_CHINCHILLA),
    PublishedModel(name="LLaMA 7B", parameters=6.7e9, tokens=1.0e12, source=_LLAMA),
    PublishedModel(name="LLaMA 65B", parameters=65.2e9, tokens=1.4e12, source=_LLAMA),
    PublishedModel(name="Llama 2 7B", parameters=7e9, tokens=2.0e12, source=_LLAMA2),
    PublishedModel(name="Llama 2 70B", parameters=70e9, tokens=2.0e12, source=_LLAMA2),
    PublishedModel(name="Llama 3 405B", parameters=405e9, tokens=15.6e12, source=_LLAMA3),
    PublishedModel(
        name="Pythia 70M", parameters=70_426_624, tokens=299_892_736_000, source=_PYTHIA
    ),
    PublishedModel(
        name="Pythia 12B", parameters=11_846_072_320, tokens=299_892_736_000, source=_PYTHIA
    ),
    PublishedModel(name="SmolLM2 135M", parameters=135e6, tokens=2e12, source=_SMOLLM2),
    PublishedModel(name="SmolLM2 360M", parameters=360e6, tokens=4e12, source=_SMOLLM2),
    PublishedModel(name="SmolLM2 1.7B", parameters=1.7e9, tokens=11e12, source=_SMOLLM2),
)
UNPUBLISHED = (
    "GPT-2 (1.5 billion parameters; Radford et al. 2019) is not drawn: its paper tells 40 GB of "
    "text, not how many tokens were trained on."
)
