"""What does an object look like in Kubernetes' protobuf?  Reading and writing ``application/vnd.kubernetes.protobuf``.

kubectl from 1.32 on, and every Go client that asks for speed, send built-in kinds in no other form.

Reading order: ``wire`` (numbers and lengths), ``table`` (which field has which number; facts in ``fields.txt``),
``values``, ``moments`` and ``json_schema`` (times, quantities and their like), ``decode`` and ``encode`` (messages from
and to JSON-shaped dicts), ``envelope`` (what is really sent: the way in).
"""
