"""Training a trained model further, on data of one's own."""

from groco.finetuning.tuning import FineTuned, finetune

__all__ = ["FineTuned", "finetune"]
