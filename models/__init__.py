"""What is predicted and how: targets as declarations, the estimator, its splits and calibration, the figures, the scorer that is shipped.

    churn.py        which outcome counts as churn                    splits.py       who learns from what
    bag.py          features, labels, clients -> the bag             calibration.py  margins -> Platt's two numbers
    fitting.py      bag + calibration -> a model                     backtest.py     every out-of-time prediction, and the shipped model
    metrics.py      figures with client-bootstrap intervals          baselines.py    the two rules to beat
    scorer.py       the one file that the registry ships: probabilities and contributions

Nothing here reads or writes files but the scorer, and nothing knows of the stages.
"""
