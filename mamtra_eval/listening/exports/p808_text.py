"""What ``p808`` writes as it stands: settings of the toolkit's two programs, the README."""

MASTER = """# Settings of master_script.py
[create_input]
number_of_clips_per_session: <CLIPS>
number_of_trapping_per_session: <TRAP_PLACES>
number_of_gold_clips_per_session: <GOLDS>
clip_packing_strategy: random
condition_pattern: <PATTERN>
condition_keys: condition_num

[hit_app_html]
cookie_name: <COOKIE>
qual_cookie_name: <COOKIE>_qualification
allowed_max_hit_in_project: 60
bw_min: NB-WB
bw_max: FB
# Payment in dollars: set it.
hit_base_payment: 0.0
quantity_hits_more_than: <BONUS_AFTER>
quantity_bonus: 0.0
quality_top_percentage: 20
quality_bonus: 0.0
contact_email:

[TrappingQuestions]
"""

ACR_GOLD = """
[gold_question]
url_found_in: input.gold_clips
ans_found_in: input.gold_clips_ans
variance: 1
"""

CCR_GOLD = """
# CCR has no gold clips, but result_parser.py reads this section.
[gold_question]
url_found_in: input.tp
"""

PARSER = """# Settings of result_parser.py, for this bundle's own sessions in its form
[general]
number_of_questions_in_rating: <QUESTIONS>
expected_votes_per_file: 10
condition_pattern: <PATTERN>
condition_keys: condition_num

[math]
math1.wav = 3
math2.wav = 7
math3.wav = 6

[trapping]
url_found_in: input.tp
ans_found_in: input.tp_ans
<GOLD_SECTION>
[acceptance_criteria]
all_audio_played_equal: 1
bw_min: NB-WB
bw_max: FB
correct_math_bigger_equal: 1
correct_tps_bigger_equal: <TRAPS>
allowedMaxHITsInProject: 60
rejection_feedback: The answers did not pass the checks that were announced.

[accept_and_use]
variance_bigger_equal: 0.1
<GOLD_RULE>correct_cmp_bigger_equal: 2

[bonus]
quantity_hits_more_than: <BONUS_AFTER>
quantity_bonus: 0.0
quality_top_percentage: 20
quality_bonus: 0.0
quality_min_pcc: 0.7
"""

README = """# This test in the P.808 toolkit

1. Put the files of `audio/` where raters can load them by https. If that is not the URL in the
   tables, export again with it.
2. Set payment and contact in `master.cfg`.
3. In the toolkit's `src/`, with this folder for `DIR`:

   ```sh
   python master_script.py --project test --cfg DIR/master.cfg --method METHOD \\
     --clips DIR/rating_clips.csv --training_clips DIR/training_clips.csv \\
     --gold_clips DIR/gold_clips.csv --trapping_clips DIR/trapping_clips.csv
   ```

   It makes the page for raters and a batch of its own, with clips in random order. To keep this
   test's lists, publish `publish_batch.csv` of this folder instead.
4. Give the downloaded answers to `listen ingest`, or to the toolkit's `result_parser.py` with the
   settings that it made in `test/`; take the `#` from their two lines of conditions first.
   `result_parser.cfg` of this folder is for sessions of the bundle's own site, brought to the form
   of the toolkit's answers to have its numbers beside ours.

## What to know

- The toolkit asks for ratings on Amazon Mechanical Turk, which takes no new customers since
  2026-07-30.
- Its page asks for the quality of the speech, in words of its own. A test that asks for naturalness
  is another measure; change the words in its template to have the same.
- Upload `audio/` alone, and not beside the bundle's own `site/`, whose files have the same tokens
  without codes: the codes would group them. The tables say which clips are checks. Clips are named
  by codes; what these mean stands in the bundle's `key/`.
- The settings here have no quotation marks around `bw_min` and `bw_max`: the toolkit refuses them,
  although its own sample has them.
- `clip_packing_strategy: balanced_block` stops with pandas 2 and later, and its order of questions
  is the same for all sessions.
- Its page shows one trap and at most one gold clip a session. Repeats and further checks of this
  test are left out.
- The hearing test and the environment test load clips from the toolkit's own host.
- Its interval is 1.96 sd / sqrt(votes): votes of the same rater or of the same sentence are taken
  as independent, so it is too narrow.
"""
