"""A task: one job that the loop improves, declared as data and owned by registry-svc."""

from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from loopwright.contracts.base import Event, Identifier, JsonObject, Moment, Share, Value
from loopwright.contracts.experiments import Allocation
from loopwright.contracts.schedules import CronSchedule


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


class QualityDropPolicy(Value):
    """When ratings have fallen: a one-sided CUSUM of the success metric, in standard deviations."""

    reference: int = Field(default=100, ge=20, le=1000, description="ratings that say what is usual")
    slack: float = Field(default=0.5, gt=0, le=5, description="half the fall, in standard deviations, to be found soon")
    limit: float = Field(default=5.0, gt=0, le=100, description="sum of falls, in standard deviations, that is a drop")


class DriftPolicy(Value):
    """When inputs have become others: the population stability index of their length, language and words."""

    inputs: int = Field(default=300, ge=50, le=1000, description="inputs that are compared, from then and from now")
    limit: float = Field(default=0.25, gt=0, le=10, description="index that is a drift, if chance does not explain it")


class CurationPolicy(Value):
    """Whose word teaches, and how much of it; the rest is quarantined or waits."""

    max_rater_share_0_1: Share = Field(default=0.01, description="share of a training set that one rater may teach")
    rater_allowance: int = Field(default=20, ge=1, description="samples that a rater may teach in any case")
    tenure_days: float = Field(default=7, ge=0, le=3650, description="days since the first rating of a tenured rater")
    tenure_ratings: int = Field(default=5, ge=1, description="ratings that it has given at least")
    established_raters: int = Field(
        default=20, ge=1, description="tenured raters of the task from which on newcomers' samples are quarantined"
    )
    burst_ratings: int = Field(default=120, ge=1, description="ratings in `burst_s` that no person gives")
    burst_s: float = Field(default=60, gt=0, le=86_400, description="seconds in which they are counted")


class RetrainingPolicy(Value):
    """When feedback has taught enough to ask for a new dataset version."""

    enabled: bool = Field(default=True, description="ask for datasets without a person")
    min_new_samples: int = Field(default=100, ge=1, description="learnable samples since the last request")
    min_stars: float = Field(default=4, ge=1, le=5, description="a rating from here on makes the answer a sample")
    cooldown_s: int = Field(default=0, ge=0, description="least seconds between two requests")
    curation: CurationPolicy = Field(default_factory=CurationPolicy, description="whose word teaches")
    schedule: CronSchedule | None = Field(
        default=None, description="also ask at these times, if there is anything new; none: not"
    )
    quality_drop: QualityDropPolicy | None = Field(default=None, description="also ask when ratings fall; none: not")
    drift: DriftPolicy | None = Field(default=None, description="also ask when inputs become others; none: not")
    patience_s: int = Field(
        default=21_600, ge=0, le=31_536_000,
        description="seconds that a request waits at most for the one before it to end; 0: it does not wait",
    )  # fmt: skip


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
        default=None, gt=0, le=300, description="seconds that 95% of its answers may take; none: no limit"
    )


class DecisionRule(StrEnum):
    """What may name a winner."""

    ALWAYS_VALID = "always_valid"
    GROUP_SEQUENTIAL = "group_sequential"
    FIXED = "fixed"


class TrialMargins(Value):
    """How much worse than the champion a candidate on trial may be; none: not watched.

    More than the margin, and it is rolled back whatever its ratings; a promotion waits until each is shown to hold.
    """

    max_latency_rise_ms: float | None = Field(
        default=None, ge=0, allow_inf_nan=False, description="milliseconds of mean latency, above the champion's"
    )
    max_error_rise_0_1: Share | None = Field(
        default=None, description="share of requests that fail on the server's side, above the champion's"
    )
    max_refusal_rise_0_1: Share | None = Field(
        default=None, description="share of answers that refuse, above the champion's"
    )
    max_toxicity_rise_0_1: Share | None = Field(
        default=None, description="mean toxicity score, above the champion's; without scores nothing is promoted"
    )
    max_response_drop_0_1: Share | None = Field(
        default=None, description="share of units that rate, below the champion's"
    )


class RampStep(Value):
    """A larger share for the candidates, once all that it names has come."""

    share_0_1: Share = Field(gt=0, description="share of units that get a candidate from then on")
    after_users: int | None = Field(default=None, ge=1, description="rated users in all arms, from the start on")
    after_s: int | None = Field(default=None, ge=1, le=31_536_000, description="seconds, from the start on")

    @model_validator(mode="after")
    def _has_a_time(self) -> Self:
        if self.after_users is None and self.after_s is None:
            raise ValueError("a step needs users or seconds after which it is taken")
        return self


class Prelude(Value):
    """A trial before the experiment itself: the champion against itself, or the candidate unseen."""

    kind: Literal["aa", "shadow"] = Field(
        description="aa: both halves get the champion, and must not differ; shadow: the candidate answers unseen"
    )
    units: int = Field(ge=1, description="units seen at which it is over")


class RolloutPolicy(Value):
    """How a candidate that passed its gate meets live traffic."""

    candidate_share_0_1: Share = Field(default=0.5, description="share of units that get the candidate, at first")
    ramp: tuple[RampStep, ...] = Field(default=(), max_length=20, description="larger shares, in order")
    preludes: tuple[Prelude, ...] = Field(default=(), max_length=2, description="trials before it, in order")
    rule: DecisionRule = Field(
        default=DecisionRule.ALWAYS_VALID,
        description="always_valid: at any time; group_sequential: at planned looks; fixed: once, at planned_users",
    )
    looks: int = Field(default=10, ge=1, le=100, description="planned looks of the group-sequential rule")
    smallest_effect: float | None = Field(
        default=None, gt=0, allow_inf_nan=False,
        description="smallest difference that matters; an interval inside of it ends the experiment as equivalent",
    )  # fmt: skip
    min_run_s: int = Field(default=0, ge=0, le=31_536_000, description="seconds before which nothing is promoted")
    max_run_s: int | None = Field(
        default=None, ge=1, le=31_536_000, description="seconds at which it ends without a winner; none: never"
    )
    coverage_0_1: Share = Field(default=1.0, gt=0, description="share of the task's units that take part")
    hold_out_share_0_1: Share = Field(
        default=0.0, lt=1, description="share of the task's units that never take part in any experiment"
    )
    allocation: Allocation = Field(default=Allocation.FIXED, description="how weights come about")
    reallocate_every_users: int = Field(
        default=100, ge=10, description="rated users after which an adaptive allocation draws weights anew"
    )
    margins: TrialMargins = Field(default_factory=TrialMargins, description="guardrails of the trial")
    min_users_per_arm: int = Field(default=50, ge=2, description="no decision before this many rated users in each arm")
    planned_users: int = Field(
        default=200,
        ge=4,
        description="users at which the always-valid interval is tightest; horizon of the other rules",
    )
    max_users: int = Field(
        default=2000, ge=4, description="rated users at which an open experiment ends without a winner"
    )
    alpha: float = Field(default=0.05, gt=0, lt=0.5, description="error rate of the always-valid decision")
    guardrail: GuardrailPolicy = Field(
        default_factory=GuardrailPolicy, description="live traffic after a promotion to rollback"
    )

    @model_validator(mode="after")
    def _has_a_ramp_that_fits(self) -> Self:
        if self.ramp and self.allocation is not Allocation.FIXED:
            raise ValueError("an adaptive allocation sets its shares by itself: it takes no ramp")
        shares = (self.candidate_share_0_1, *(step.share_0_1 for step in self.ramp))
        if any(after <= before for before, after in pairwise(shares)):
            raise ValueError("each step of a ramp must be larger than the one before")
        return self


class PrivacyPolicy(Value):
    """What of a conversation may leave the router."""

    store_content: bool = Field(default=True, description="put request and answer into inference.completed")
    seal_content: bool = Field(default=False, description="seal them there (AES-256-GCM); only feedback-svc opens them")
    mask_content: bool = Field(default=False, description="mask personal data in them before they leave the router")


class SourcePolicy(Value):
    """A source of upstream records that a task learns from; feedback-svc says which there are."""

    source: Identifier = Field(description="name of the source, as `incident-evidence`")
    enabled: bool = Field(default=True, description="false: nothing is collected or exported")
    options: JsonObject = Field(default_factory=dict[str, JsonValue], description="of the source; see feedback-svc")
    collect: CronSchedule | None = Field(
        default=None, description="when records become samples; none: as the source does"
    )
    export: CronSchedule | None = Field(default=None, description="when they are also written to a file; none: never")


class Retrieval(Value):
    """Similar cases that are looked up in the knowledge base and shown to the model beside the question."""

    collection: Identifier = Field(description="knowledge base that is searched")
    top_k: int = Field(default=4, ge=1, le=20, description="most passages that are shown")
    min_score: float | None = Field(default=None, allow_inf_nan=False, description="passages below it are left out")
    max_chars: int = Field(default=4_000, ge=100, le=100_000, description="most characters of all passages together")
    template: str = Field(
        default="{passages}\n\n{question}", max_length=20_000, description="user message; {passages}, {question}"
    )
    timeout_s: float = Field(default=0.5, gt=0, le=10, description="longer, and the model is asked without passages")


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
    retrieval: Retrieval | None = Field(default=None, description="similar cases beside the question; none: not")
    privacy: PrivacyPolicy = Field(default_factory=PrivacyPolicy, description="what events may carry")
    sources: tuple[SourcePolicy, ...] = Field(
        default=(), max_length=20, description="upstream records that it learns from, beside ratings of its answers"
    )
    defined_at: Moment = Field(description="when this version was declared")
    defined_by: str = Field(description="subject that declared it")
