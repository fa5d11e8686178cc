"""From clips and recordings to the dumps that the trainings read."""
