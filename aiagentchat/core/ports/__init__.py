"""What the stages ask of the outside, and what they are promised. Each Protocol is as small as its user needs."""
