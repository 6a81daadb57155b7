from tiny_imagenet.core.errors import InputError, PipelineError


def test_the_line_says_where_what_and_what_to_do() -> None:
    assert str(PipelineError("lr", "is too high", "lower it")) == "lr: is too high; lower it"


def test_a_message_of_several_lines_becomes_one() -> None:
    assert "\n" not in str(PipelineError("a\nb", "c\nd", "e\nf"))


def test_exit_statuses_tell_input_from_run_time() -> None:
    assert (InputError.exit_status, PipelineError.exit_status) == (2, 1)
    assert issubclass(InputError, PipelineError)
