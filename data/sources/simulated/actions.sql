-- What the firm tried with a client -> one version of a step each: when it is done, and again with what came of it.
SELECT
  _row,
  step AS action_id,
  account AS client_id,
  CASE what
    WHEN 'Talk about terms' THEN 'set_boundaries'
    WHEN 'New prices' THEN 'reprice'
    WHEN 'Introduced elsewhere' THEN 'refer_out'
    WHEN 'Win-back visit' THEN 'win_back'
    WHEN 'Parting' THEN 'part_respectfully'
    WHEN 'Further services' THEN 'keep_and_grow'
    WHEN 'Wait' THEN 'wait_and_watch'
    WHEN 'Left alone by lot' THEN 'hold_out'
  END AS kind,
  done AS done_on,
  nullif(outcome, '') AS outcome,
  entered_at AS recorded_at
FROM steps_taken
