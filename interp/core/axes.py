"""The glossary: axis names, units and sign conventions. Every signature uses these words only.

Axes
    batch      rows of a run
    pos        token positions, counted from the first real token of a row (0 = beginning of text)
    head       attention heads; kv_head where grouped-query attention has fewer
    query key  the attending and the attended position
    layer      blocks, counted from 0; a stack over residual sites has n_layers + 1 rows
               (0 = embedding)
    d_model d_head d_mlp d_vocab    as TransformerLens names them
    k          the k best candidates
    part       what adds up to the last residual stream: embedding, each attention, each MLP
    example class      rows and labels of a probe
    step       training steps; step 0 = before the first update
    update evaluation timing    steps whose training loss, held-out loss, speed are on record
    dose       strengths of an intervention
    curve      a number over the checkpoints of a run; group: the stories behind it
    run        training runs of one recipe, a seed each

Units
    loss_nats_per_token, surprisal_nats, floor_nats, regret_nats (= loss - floor), entropy_bits
    rank       0 = the most probable token
    dose       shares of the site's median norm (beginning-of-text position left out)
    seconds    wall time; cpu_seconds where the process' own time is meant

Signs
    gain and damage are positive when they grow; an ablation's loss change is (ablated - clean), so
    a useful part has a positive one.
"""
