"""What Sampan costs, measured: ``scripts/bench`` runs every file here and writes bench/RESULTS.md.

Each figure stands beside its budget and a yardstick of the same run, since machines are noisy.
"""
