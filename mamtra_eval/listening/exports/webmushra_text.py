"""What ``webmushra`` writes as it stands: scripts, the list chooser, the README."""

FINISH_SCRIPT = (
    "<script>(function(){"
    "var known=new URLSearchParams(location.search).get('PROLIFIC_PID')||'';"
    "function plain(text){return text.replace(/[^A-Za-z0-9_-]/g,'');}"
    "$(document).off('input.pid').on('input.pid','#participant_id',"
    "function(){this.value=plain(this.value);});"
    "setTimeout(function(){$('#participant_id').attr('maxlength',64).val(plain(known));},0);"
    "})();</script>"
)
"""Fills in the rater's identifier, and keeps it to characters that reach the server unchanged."""

START = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="robots" content="noindex">
<title>TITLE</title>
</head>
<body>
<p id="say" role="status">One moment.</p>
<noscript>This test needs JavaScript.</noscript>
<script>
"use strict";
// The list follows from the participant: the first four bytes of a SHA-256, modulo their number.
(async function () {
  const configs = CONFIGS;
  const asked = new URLSearchParams(location.search);
  if (!window.crypto || !crypto.subtle) {
    document.getElementById("say").textContent =
      "This page must be opened by https. Please tell the experimenter.";
    return;
  }
  const participant = asked.get("PROLIFIC_PID") || crypto.randomUUID();
  asked.set("PROLIFIC_PID", participant);
  const bytes = new TextEncoder().encode(participant);
  const digest = new DataView(await crypto.subtle.digest("SHA-256", bytes));
  asked.set("config", configs[digest.getUint32(0) % configs.length]);
  location.replace("index.html?" + asked.toString());
})();
</script>
</body>
</html>
"""

README = """# This test in webMUSHRA

1. Copy `configs/` and `start.html` into the folder of webMUSHRA; its `results/` must be writable.
2. Serve that folder with PHP by https, for a trial run `php -S 127.0.0.1:8080`.
3. Open `index.html?config=BUNDLE_l000.yaml` (a name of `configs/`) and go through it once. Then
   look at `results/BUNDLE/` and delete it.
4. Send raters to `start.html?PROLIFIC_PID=...`: it takes them to their list.
5. Give the CSV files of `results/BUNDLE/` to `listen ingest`.

## What to know

- Raters are told apart by the field `participant_id` alone. It is filled in from `PROLIFIC_PID`;
  it takes letters, digits, `_` and `-`, because webMUSHRA loses a whole session with a `&` in it.
  For the same reason there is no other free text.
- Add no field to the questionnaire once there are results: the header of a CSV file is written
  once, and later rows would not fit it.
- Write a configuration anew by the export, not by an editor or a YAML library: webMUSHRA's reader
  of YAML changes or refuses much of what is valid.
- In PHP 8 `service/write.php` fails where the first stored page is no Likert page. Leave the order
  of pages.
- A missing or broken clip leaves raters with an endless "Loading". All clips of a list are loaded
  at the start.
- With pymushra for a server every rater reads that sending failed, although it did not.
- A reload begins again at the first page. Nothing is kept of what was answered.
- mushra: sliders begin at 100 and may be left there unheard. The hidden reference is webMUSHRA's
  own and called `reference` in the results. Its lowpass anchors are off: anchors are clips.
- smos: the reference is a player of its own on the page. That it was heard is not required.
- The headphone check, eligibility questions and the closing questionnaire are not part of this
  export; times of single plays are not recorded. The bundle's own site has all of these.
- The words of the consent buttons are webMUSHRA's, in English.
- webMUSHRA has a licence of its own (Fraunhofer IIS); nothing of it is in this folder.
"""
