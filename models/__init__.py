"""What is predicted and how: targets as declarations, the estimator, its splits and calibration, the figures, the scorer that is shipped.

target      churn.py         which outcome counts as churn          label_design.py  what horizon and thresholds do to the label
estimator   bag.py           rows -> the bag                        rows.py          a frame -> checked training rows
            trees.py         a member's monotone LightGBM           linear.py        a member's ridge within the signs
            size.py          churned clients -> size and tier       tuning.py        sizes searched for inside training; optional
            calibration.py   margins -> Platt's two numbers         interval.py      how far low and high lie apart
            horizons.py      the main horizon -> all others         fitting.py       bag + calibration -> a model
validation  splits.py        who learns from what                   backtest.py      out-of-time predictions, and the shipped model
            baselines.py     the two rules to beat                  leakage.py       what is too good to be true, or not allowed
figures     metrics.py       with client-bootstrap intervals        judgement.py     by period, origin, age and horizon
            curves.py        to draw: gain, lift, reliability       slices.py        by size, tenure, segment, language, history
            grade.py         in words for a manager
shipped     scorer.py        the one file that the registry ships: probabilities and contributions

Nothing here reads or writes files but the scorer, and nothing knows of the stages.
"""
