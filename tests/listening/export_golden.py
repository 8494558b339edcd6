"""What exports of the made bundle are, written out by hand."""

from __future__ import annotations

from typing import Any

from mamtra_eval.listening.bundle import Bundle
from tests.listening.made_bundles import token

BUTTONS = [
    {"value": "1", "label": "1 Bad"},
    {"value": "2", "label": "2 Poor"},
    {"value": "3", "label": "3 Fair"},
    {"value": "4", "label": "4 Good"},
    {"value": "5", "label": "5 Excellent"},
]


def pages(bundle: Bundle) -> list[dict[str, Any]]:
    """Pages of list ``l00`` in webMUSHRA; the last one without its content."""

    def rated(trial: str, name: str, stimulus: str) -> dict[str, Any]:
        return {
            "type": "likert_single_stimulus",
            "id": trial,
            "name": name,
            "content": "<p>How &quot;natural&quot; does this sound, 1 &amp; up?</p>",
            "mustRate": True,
            "mustPlayback": "ended",
            "showWaveform": False,
            "stimuli": {stimulus: f"configs/{bundle.id}/{stimulus}.wav"},
            "response": BUTTONS,
        }

    return [
        {
            "type": "generic",
            "id": "instructions",
            "name": "Instructions",
            "content": "<p>Use headphones: it&#x27;s &lt;b&gt;better&lt;/b&gt;.</p>"
            "<p>C:\\temp - [random, {no}] 1e5</p>",
        },
        {
            "type": "consent",
            "id": "consent",
            "name": "Consent",
            "mustConsent": True,
            "content": "<p>I&#x27;m 18 or older.</p><p>I agree.</p>",
        },
        {
            "type": "volume",
            "id": "volume",
            "name": "Volume",
            "content": "Play the clip, set a comfortable volume, and leave it there.",
            "stimulus": f"configs/{bundle.id}/{token('gold')}.wav",
            "defaultVolume": 1,
        },
        rated("practice_01", "Practice 1 of 1", token("practice")),
        rated("l00_01", "Clip 1 of 7", token("teacher", "utt-1")),
        rated("l00_02", "Clip 2 of 7", token("hybrid", "utt-2")),
        rated("l00_03", "Clip 3 of 7", token("recordings", "utt-3")),
        rated("l00_04", "Clip 4 of 7", token("teacher", "utt-4")),
        {
            "type": "generic",
            "id": "break_01",
            "name": "Break",
            "content": "<p>Please rest your ears for a moment before you go on.</p>",
        },
        rated("l00_05", "Clip 5 of 7", token("gold")),
        rated("l00_06", "Clip 6 of 7", token("trap")),
        rated("l00_07", "Clip 7 of 7", token("teacher", "utt-1", "repeat")),
        {
            "type": "finish",
            "name": "The end",
            "popupContent": "<p>Thank you.</p><p>Completion code: <b>C0DE</b></p>"
            '<p><a href="https://app.example/complete?a=1&amp;cc=C0DE">'
            "Back to where you came from</a></p>",
            "showResults": False,
            "showErrors": True,
            "questionnaire": [
                {"type": "text", "label": "Your participant ID", "name": "participant_id"}
            ],
        },
    ]


_AUDIO = "https://host.example/audio/"
_ASSETS = "https://audiosamplesp808.blob.core.windows.net/p808-assets/clips/"
_JND = _ASSETS + "sample_jnd/"
_CODES = {"hybrid": "c01", "teacher": "c02", "recordings": "c05"}


def _rated(system: str, item: str) -> str:
    return f"{_AUDIO}{_CODES[system]}_{token(system, item)}.wav"


RATING_CLIPS = "rating_clips\n" + "".join(
    f"{url}\n"
    for url in sorted(_rated(system, f"utt-{item}") for system in _CODES for item in range(1, 5))
)

PUBLISH = (
    "Q0,Q1,Q2,Q3,math,CMP1_A,CMP1_B,CMP2_A,CMP2_B,CMP3_A,CMP3_B,CMP4_A,CMP4_B,"
    "TP,TP_ANS,gold_clips,gold_clips_ans\n"
    + ",".join(
        [
            _rated("teacher", "utt-1"),
            _rated("hybrid", "utt-2"),
            _rated("recordings", "utt-3"),
            _rated("teacher", "utt-4"),
            _ASSETS + "math/math1.wav",
            _JND + "40S_female2.wav",
            _JND + "50S_female2.wav",
            _JND + "50S_male1.wav",
            _JND + "40S_male1.wav",
            _JND + "40S_male2.wav",
            _JND + "50S_male2.wav",
            _JND + "50S_female1.wav",
            _JND + "40S_female1.wav",
            f"{_AUDIO}c03_{token('trap')}.wav",
            "1",
            f"{_AUDIO}c04_{token('gold')}.wav",
            "1",
        ]
    )
    + "\n"
)

STUDY = {
    "name": "Voices: a test — Hörtest #1",
    "description": "Use headphones: it's <b>better</b>. C:\\temp\n- [random, {no}] 1e5",
    "external_study_url": "https://host.example/t/?PROLIFIC_PID={{%PROLIFIC_PID%}}"
    "&STUDY_ID={{%STUDY_ID%}}&SESSION_ID={{%SESSION_ID%}}",
    "prolific_id_option": "url_parameters",
    "completion_codes": [
        {"code": "C0DE", "code_type": "COMPLETED", "actions": [{"action": "MANUALLY_REVIEW"}]}
    ],
    "estimated_completion_time": 3,
    "reward": 0,
    "total_available_places": 3,
    "device_compatibility": ["desktop", "mobile", "tablet"],
    "peripheral_requirements": ["audio"],
}
