"""Every op of training and evaluation has a kernel for GPUs, told from TensorFlow's registry: no machine here has one."""

import numpy as np
import pytest
import tensorflow as tf
from model_cases import SMALL, checkerboard, make
from placement import nodes, on_host
from soak import EVERY

from tfadt.denoising.reweighted import RCE
from tfadt.denoising.standard import Standard
from tfadt.denoising.truncated import TCE
from tfadt.evaluation.ranking import Ranker
from tfadt.models.cdae import CDAE
from tfadt.models.gmf import GMF
from tfadt.models.stepping import Stepper

POLICIES = {"standard": Standard, "t_ce": lambda: TCE(0.1, 10), "r_ce": lambda: RCE(0.2)}


def train_function(cls, policy, objective="binary_crossentropy"):
    data = checkerboard(users=40, items=32)
    model = make(cls, data)
    model.compile(policy=policy, objective=objective)
    source = model.batch_source(data.train, model.negative_sampler(data), 8 if cls.user_batches else 96)
    policy.prepare(100, source.positive_share)
    model.optimizer.build(model.trainable_variables)
    return Stepper(source, model._train_on, model.get_metrics_result, model.strategy)


@pytest.mark.parametrize("cls", SMALL, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("policy", POLICIES)
def test_no_op_of_a_train_step_is_placed_on_the_host(cls, policy):
    if not (EVERY or cls is GMF or policy == "t_ce"):
        pytest.skip("every policy under one model: make soak")
    function = train_function(cls, POLICIES[policy]()).function
    assert on_host(function) == []
    assert not [node.op for _, node in nodes(function) if "PyFunc" in node.op]


@pytest.mark.parametrize("cls", SMALL if EVERY else (GMF, CDAE), ids=lambda cls: cls.__name__)
def test_no_op_of_a_train_step_on_pairs_is_placed_on_the_host(cls):
    assert on_host(train_function(cls, TCE(0.1, 10), "bpr").function) == []


@pytest.mark.parametrize("cls", SMALL, ids=lambda cls: cls.__name__)
def test_no_op_of_the_full_ranking_is_placed_on_the_host(cls):
    data = checkerboard()
    assert on_host(Ranker(make(cls, data), 5, data.history()).function) == []


def test_no_op_of_a_ranking_in_two_steps_is_placed_on_the_host():
    data = checkerboard(items=600)
    assert on_host(Ranker(make(GMF, data), 2, data.history()).function) == []


def test_what_is_on_the_host_is_found():
    @tf.function
    def bad(x, table):
        repeated = tf.gather(table, tf.random.experimental.index_shuffle(x, [1, 2], 9))
        return repeated + tf.cast(tf.range(tf.size(x)), tf.int32)

    rows = tf.TensorSpec([None], tf.int32)
    lines = on_host(bad.get_concrete_function(rows, rows))
    assert any(line.startswith("RandomIndexShuffle: no kernel") for line in lines)
    assert any(line.startswith("AddV2") for line in lines)


def test_training_traces_once_however_many_steps_epochs_and_calls():
    data = checkerboard()
    model = make(next(iter(SMALL)), data)
    model.compile(policy=TCE(0.1, 10))
    traced = []
    original = model.batch_loss
    model.batch_loss = lambda *args, **kwargs: (traced.append(1), original(*args, **kwargs))[1]
    model.fit(data, epochs=3, batch_size=100, steps_per_call=2)
    assert len(traced) == 1
    assert np.isfinite(model.get_weights()[0]).all()
