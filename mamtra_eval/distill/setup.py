"""What a training run starts with: teacher, student and examples, checked against each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mamtra_eval.distill import optimizer
from mamtra_eval.distill.config import STARTS, DistillConfig, StudentConfig
from mamtra_eval.distill.linearize import linearize, random_hybrid
from mamtra_eval.errors import UserError
from mamtra_eval.models import checkpoint, layout
from mamtra_eval.models.config import PRESETS, DecoderConfig, from_dict, preset
from mamtra_eval.models.decoder import Decoder
from mamtra_eval.models.sequences import Example, read_examples, refuse_unscored

DEFAULT_RATIO = "1:1"


@dataclass
class Parts:
    """Everything that stays the same during training, and the student."""

    student: Decoder
    teacher: Decoder | None
    train: list[Example]
    held_out: list[Example]
    hidden_layers: list[int]
    inputs: dict[str, str]
    """Hashes of what was read, by configuration key."""


def prepare(config: DistillConfig) -> Parts:
    """Load and build everything; UserError for what does not go together."""
    checkpoint.checked_device(config.device)
    teacher = None
    if config.teacher is not None:
        teacher = checkpoint.load(Path(config.teacher), kernels=config.kernels)
        teacher = teacher.to(config.device).use(config.kernels).requires_grad_(False)
    student = _student(config, teacher).to(config.device).use(config.kernels).train()
    if teacher is not None:
        _check_pair(teacher.config, student.config)
    optimizer.freeze(student, config.freeze)
    if not any(parameter.requires_grad for parameter in student.parameters()):
        raise UserError("every part of the student is frozen", fix="Leave one out of freeze.")
    train = Path(config.data.train)
    held_out = config.data.held_out
    return Parts(
        student=student,
        teacher=teacher,
        train=_examples(train, student.config, config.data.max_length),
        held_out=_examples(Path(held_out), student.config, config.data.max_length)
        if held_out
        else [],
        hidden_layers=_hidden_layers(config, student.config.layers),
        inputs=_inputs(config),
    )


def _inputs(config: DistillConfig) -> dict[str, str]:
    folders = {"teacher": config.teacher}
    if config.student.start not in STARTS:
        folders["student.start"] = config.student.start
    files = {"data.train": config.data.train, "data.held_out": config.data.held_out}
    hashes = {k: checkpoint.weights_hash(Path(v)) for k, v in folders.items() if v}
    return hashes | {k: checkpoint.sha256(Path(v)) for k, v in files.items() if v}


def student_layout(student: StudentConfig, layers: int) -> tuple[int, ...]:
    """The student's Transformer layers, from indices or from ratio and placement."""
    if student.layout is not None:
        return tuple(student.layout)
    ranking = layout.ranking_from_file(Path(student.ranking)) if student.ranking else None
    ratio = layout.Ratio.parse(student.ratio or DEFAULT_RATIO)
    return layout.transformer_layers(ratio, layers, student.placement, ranking)


def _student(config: DistillConfig, teacher: Decoder | None) -> Decoder:
    student = config.student
    if student.start not in STARTS:
        return _continued(student, config.kernels)
    if student.start == "linearized":
        assert teacher is not None  # the configuration was checked
        return linearize(
            teacher,
            student_layout(student, teacher.config.layers),
            keep_biases=student.keep_biases,
            conv=student.conv,
            seed=config.seed,
        )
    shape = teacher.config if teacher is not None and not student.shape else _shape(student)
    return random_hybrid(shape.with_layout(student_layout(student, shape.layers)), config.seed)


def _continued(student: StudentConfig, kernels: str) -> Decoder:
    """A checkpoint to go on from; UserError if another layout was asked for."""
    found = checkpoint.load(Path(student.start), kernels=kernels)
    if student.ratio is None and student.layout is None:
        return found
    if student_layout(student, found.config.layers) != found.config.transformer:
        raise UserError(
            f"the checkpoint's Transformer layers are {list(found.config.transformer)}, not those "
            "of student.ratio or student.layout",
            where=student.start,
            fix="Leave student.ratio and student.layout out, or start from another checkpoint.",
        )
    return found


def _shape(student: StudentConfig) -> DecoderConfig:
    fields = dict(student.shape)
    name = fields.pop("preset", None)
    if name is None and not fields:
        raise UserError(
            "a random student without a teacher needs a shape",
            fix=f"Add student: {{shape: {{preset: mini}}}}. Known: {', '.join(PRESETS)}.",
        )
    base = preset(str(name)).to_dict() if name is not None else {}
    if "layers" in fields and "transformer" not in fields:
        layers = fields["layers"]
        fields["transformer"] = list(range(layers)) if type(layers) is int else []
    return from_dict({**base, **fields}, where="student.shape")


def _check_pair(teacher: DecoderConfig, student: DecoderConfig) -> None:
    for name in ("layers", "hidden", "speech_codes", "text_vocabulary"):
        a, b = getattr(teacher, name), getattr(student, name)
        if a != b:
            raise UserError(f"teacher and student differ in {name}: {a} and {b}")


def _examples(path: Path, config: DecoderConfig, longest: int) -> list[Example]:
    found = read_examples(path, config)
    refuse_unscored(found, str(path))
    for number, example in enumerate(found, start=1):
        if len(example.ids) > longest:
            raise UserError(
                f"example {number} has {len(example.ids)} tokens, more than data.max_length",
                where=str(path),
                fix=f"Raise data.max_length ({longest}), or leave it out.",
            )
    return found


def _hidden_layers(config: DistillConfig, layers: int) -> list[int]:
    wanted = config.loss.hidden_layers
    if wanted is None:
        return list(range(layers))
    if not wanted or not all(0 <= index < layers for index in wanted):
        raise UserError(f"loss.hidden_layers must be indices from 0 to {layers - 1}: {wanted}")
    return sorted(set(wanted))
