from tiny_imagenet.core.errors import InputError, PipelineError


def test_the_message_names_place_problem_and_remedy() -> None:
    assert str(PipelineError("lr", "is too high", "lower it")) == "lr: is too high; lower it"


def test_a_message_of_several_lines_becomes_one() -> None:
    assert "\n" not in str(PipelineError("a\nb", "c\nd", "e\nf"))


def test_exit_codes_differ_for_input_and_run_time_errors() -> None:
    assert (InputError.exit_status, PipelineError.exit_status) == (2, 1)
    assert issubclass(InputError, PipelineError)
