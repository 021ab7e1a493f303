"""Calibration by semantic perturbation: a model is taught to say how sure it is.

Data (`data`), training (`train`) and the comparison before and after (`evaluate`), each a
subcommand of `vlm-confidence csp`. Needs the extra `csp`: trl and peft.

Source: "Object-Level Verbalized Confidence Calibration in Vision-Language Models via Semantic
Perturbation", arXiv 2504.14848, whose code and hyperparameters are not public.
"""
