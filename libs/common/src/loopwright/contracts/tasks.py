"""A task: one job that the loop improves, declared as data and owned by registry-svc."""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from loopwright.contracts.base import Event, Identifier, JsonObject, Moment, Share, Value


class PromptTemplate(Value):
    """What the router puts around a user's message."""

    system: str = Field(description="system message of every request; empty for none")
    user: str = Field(default="{input}", description="template of the last user message; {input} is what the user sent")


class GenerationParameters(Value):
    """How a variant generates when the request does not say otherwise."""

    temperature: float = Field(default=0.0, ge=0, le=2, description="sampling temperature; 0 is greedy")
    top_p: float = Field(default=1.0, gt=0, le=1, description="nucleus mass")
    max_tokens: int = Field(default=256, ge=1, description="most tokens of an answer")


class MetricKind(StrEnum):
    """The scale of a rating."""

    STARS = "stars"
    THUMB = "thumb"
    FLOAT = "float"
    BOOLEAN = "boolean"


class SuccessMetric(Value):
    """The rating that experiments on this task are decided by."""

    name: Identifier = Field(description="name of the rating's metric, `stars` or `thumb` or a named one")
    kind: MetricKind = Field(description="its scale")
    higher_is_better: bool = Field(default=True, description="direction of improvement")


class MaskingMode(StrEnum):
    """What happens to personal data in samples."""

    MASK = "mask"
    DROP = "drop"
    REPORT = "report"


class QualityWeights(Value):
    """Weight of each part in a sample's quality score, which is their weighted harmonic mean; only ratios matter."""

    length: float = Field(default=1.0, ge=0, le=1000, description="neither too short nor too long for its kind")
    diversity: float = Field(default=1.0, ge=0, le=1000, description="little repetition")
    fluency: float = Field(default=1.5, ge=0, le=1000, description="whole, plausible, well-spelt sentences")
    relevance: float = Field(default=1.5, ge=0, le=1000, description="the answer answers the question")
    format: float = Field(default=2.0, ge=0, le=1000, description="parses, roles in order")
    language: float = Field(default=1.0, ge=0, le=1000, description="answered in the language that was asked in")
    toxicity: float = Field(default=2.0, ge=0, le=1000, description="no toxic language")
    bias: float = Field(default=1.0, ge=0, le=1000, description="speaks ill of no group")

    @model_validator(mode="after")
    def _something_weighs(self) -> Self:
        if not any(weight for _, weight in self):
            raise ValueError("at least one weight must be above 0")
        return self


SampleLanguage = Literal["ko", "en", "mixed", "other", "code", "none"]


class QualityPolicy(Value):
    """How samples are scored, and which go; the defaults drop nothing."""

    weights: QualityWeights = Field(default_factory=QualityWeights, description="what the score is made of")
    min_score_0_1: Share = Field(default=0.0, description="samples with a lower score go; 0 drops nothing")
    max_toxicity_0_1: Share = Field(default=1.0, description="more toxic samples go; 1 drops nothing")
    max_bias_0_1: Share = Field(default=1.0, description="more biased samples go; 1 drops nothing")
    languages: tuple[SampleLanguage, ...] = Field(default=(), description="others go; empty keeps all")
    max_answer_chars: int = Field(default=20_000, ge=1, description="longer answers lose points")
    max_tokens: int | None = Field(default=None, ge=1, description="samples with more tokens lose points, if counted")


class DataPolicy(Value):
    """How raw samples of the task become a dataset version."""

    masking: MaskingMode = Field(default=MaskingMode.MASK, description="mask, drop the sample, or only report")
    pseudonymise: bool = Field(
        default=False, description="when masking, give equal values of one dataset equal pseudonyms"
    )
    near_duplicate_threshold_0_1: Share = Field(default=0.9, description="Jaccard similarity that makes a duplicate")
    held_out_share_0_1: Share = Field(default=0.2, description="share of prompts kept for evaluation, by hash")
    validation_share_0_1: Share = Field(default=0.1, description="share of prompts kept for early stopping, by hash")
    quality: QualityPolicy = Field(default_factory=QualityPolicy, description="scores of samples, and filters by them")
    min_samples: int = Field(default=20, ge=1, description="fewer clean training samples reject the dataset")


Method = Literal["full", "lora", "qlora"]
Objective = Literal["sft", "dpo", "kto", "distill"]
Trainer = Literal["loopwright", "axolotl", "llama_factory"]
Sharding = Literal["none", "ddp", "zero2", "zero3", "fsdp2"]


class Hyperparameters(Value):
    """Settings of one fine-tuning run."""

    lora_rank: int = Field(default=16, ge=1, le=512, description="rank of the adapter")
    lora_alpha: int = Field(default=32, ge=1, description="adapter scale times rank")
    lora_dropout: float = Field(default=0.0, ge=0, lt=1, description="dropout inside the adapter")
    rs_lora: bool = Field(default=False, description="scale the adapter by alpha over the root of its rank (rsLoRA)")
    dora: bool = Field(default=False, description="learn magnitude and direction of weights apart (DoRA)")
    learning_rate: float = Field(default=2e-4, gt=0, allow_inf_nan=False, description="peak learning rate")
    batch_size: int = Field(default=8, ge=1, description="samples per device and step")
    gradient_accumulation_steps: int = Field(default=1, ge=1, description="micro-batches per optimizer step")
    num_epochs: float = Field(default=3, gt=0, allow_inf_nan=False, description="passes over the training split")
    warmup_ratio: Share = Field(default=0.05, description="share of steps with rising learning rate")
    warmup_steps: int | None = Field(default=None, ge=0, description="steps of it, in place of the share")
    weight_decay: float = Field(default=0.0, ge=0, allow_inf_nan=False, description="of AdamW")
    max_seq_length: int = Field(default=512, ge=16, description="tokens; longer samples are cut")
    packing: bool = Field(default=False, description="put several samples into one sequence, apart by attention")
    gradient_checkpointing: bool | None = Field(default=None, description="less memory, more time; None: on GPUs only")
    beta: float = Field(default=0.1, gt=0, allow_inf_nan=False, description="DPO and KTO: how near the reference")
    teacher: Identifier | None = Field(default=None, description="distillation: base model to learn from")
    trainer: Trainer = Field(default="loopwright", description="what trains: our recipes, or another project's trainer")
    sharding: Sharding = Field(default="none", description="how several devices share parameters and optimizer")
    checkpoint_every_steps: int = Field(default=500, ge=1, description="optimizer steps between checkpoints")
    keep_checkpoints: int = Field(default=2, ge=1, description="newest ones kept, beside the best")
    eval_every_steps: int | None = Field(default=None, ge=1, description="None: after each epoch")
    early_stopping_patience: int | None = Field(
        default=None, ge=1, description="evaluations without a better validation loss that end the run; None: never"
    )
    seed: int = Field(default=17, description="seed of data order and initialisation")
    sparsity_0_1: Share = Field(default=0.5, description="prune: share of each linear layer's weights that become 0")
    two_of_four: bool = Field(default=False, description="prune: two of every four weights (2:4), in place of a share")
    gguf_precision: Literal["f16", "bf16", "q8_0"] = Field(default="q8_0", description="gguf: how weights are stored")


class TrainingPolicy(Value):
    """Whether and how a validated dataset of the task starts a job by itself."""

    auto: bool = Field(default=True, description="start a job when a dataset version is validated")
    method: Method = Field(default="lora", description="what is trained")
    objective: Objective = Field(default="sft", description="what it is trained for")
    hyperparameters: Hyperparameters = Field(default_factory=Hyperparameters, description="settings of the run")
    inherit: bool = Field(
        default=False, description="settings left at their defaults are those of the task's last job that succeeded"
    )


class RetrainingPolicy(Value):
    """When feedback has taught enough to ask for a new dataset version."""

    enabled: bool = Field(default=True, description="ask for datasets without a person")
    min_new_samples: int = Field(default=100, ge=1, description="learnable samples since the last request")
    min_stars: float = Field(default=4, ge=1, le=5, description="a rating from here on makes the answer a sample")
    cooldown_s: int = Field(default=0, ge=0, description="least seconds between two requests")


class GatePolicy(Value):
    """What a candidate must show on held-out cases before it may meet live traffic."""

    min_cases: int = Field(default=20, ge=1, description="fewer held-out cases fail the gate")
    min_accuracy_0_1: Share = Field(default=0.9, description="absolute floor of the candidate's accuracy")
    max_regression_0_1: Share = Field(default=0.0, description="how far below the champion it may be")
    limits: dict[Annotated[str, Field(min_length=1, max_length=100)], Annotated[float, Field(allow_inf_nan=False)]] = (
        Field(
            default_factory=dict[str, float],
            max_length=32,
            description="worst value of further metrics by name: a floor, or a ceiling where less is better, as of "
            "`latency_p95_ms`, `tokens_per_answer`, `perplexity`; names as in an evaluation's metrics",
        )
    )
    confident_margin_0_1: Share | None = Field(
        default=None,
        description="the lower end of the paired interval may lie this far below the champion; None: not asked",
    )
    confident_metric: str = Field(
        default="accuracy", min_length=1, max_length=100, description="metric of that interval, one with a value a case"
    )
    confidence_0_1: float = Field(default=0.95, ge=0.5, lt=1, description="confidence of that interval")
    max_contaminated_0_1: Share | None = Field(
        default=None, description="share of held-out cases that the training split may give away; None: not looked for"
    )
    safety_probes: bool = Field(
        default=False, description="ask the platform's safety probes; no worse than the champion"
    )
    max_forgotten_0_1: Share | None = Field(
        default=None,
        description="share of what the base model answers right in the platform's general questions that may be lost; "
        "None: not asked",
    )


class GuardrailPolicy(Value):
    """What takes a promotion back by itself."""

    window_s: int = Field(default=900, ge=0, le=604_800, description="seconds that a new champion is watched; 0: not")
    min_requests: int = Field(default=20, ge=1, description="no judgement before so many requests")
    max_error_rate_0_1: Share = Field(default=0.1, description="share of requests that may fail on the server's side")
    max_p95_s: float | None = Field(
        default=None, gt=0, le=300, description="seconds that 95% of the task's answers may take; none: no limit"
    )


class RolloutPolicy(Value):
    """How a candidate that passed its gate meets live traffic."""

    candidate_share_0_1: Share = Field(default=0.5, description="share of units that get the candidate")
    min_users_per_arm: int = Field(default=50, ge=2, description="no decision before this many rated users in each arm")
    planned_users: int = Field(default=200, ge=4, description="N* at which the confidence sequence is tightest")
    max_users: int = Field(
        default=2000, ge=4, description="rated users at which an open experiment ends without a winner"
    )
    alpha: float = Field(default=0.05, gt=0, lt=0.5, description="error rate of the always-valid decision")
    guardrail: GuardrailPolicy = Field(
        default_factory=GuardrailPolicy, description="live traffic after a promotion to rollback"
    )


class PrivacyPolicy(Value):
    """What of a conversation may leave the router."""

    store_content: bool = Field(default=True, description="put request and answer into inference.completed")


class TaskDefined(Event):
    """A task was declared or changed; the newest version is the whole truth about it."""

    task_id: Identifier = Field(description="name of the task, also the `model` that clients ask for")
    version: int = Field(ge=1, description="rises by one with every change")
    title: str = Field(max_length=200, description="for people")
    description: str = Field(default="", description="what the task is for")
    base_model: Identifier = Field(description="name of the base model that its variants start from")
    prompt: PromptTemplate = Field(description="what is put around the user's message")
    answer_schema: JsonObject | None = Field(default=None, description="JSON Schema of the answer, if it is structured")
    answer_field: str | None = Field(default=None, description="field of a structured answer that evaluation compares")
    generation: GenerationParameters = Field(description="defaults of its variants")
    success_metric: SuccessMetric = Field(description="what experiments are decided by")
    data_policy: DataPolicy = Field(description="raw samples to dataset")
    training: TrainingPolicy = Field(description="dataset to job")
    retraining: RetrainingPolicy = Field(description="feedback to dataset request")
    gate: GatePolicy = Field(description="evaluation to live traffic")
    rollout: RolloutPolicy = Field(description="live traffic to decision")
    privacy: PrivacyPolicy = Field(default_factory=PrivacyPolicy, description="what events may carry")
    defined_at: Moment = Field(description="when this version was declared")
    defined_by: str = Field(description="subject that declared it")
