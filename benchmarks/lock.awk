# Splits uv's output: torch.lock for PyTorch, requirements.lock for all else without CUDA.
# On Linux the usual torch package needs 2.7 GB of CUDA libraries, so there the lock has the CPU build's hash (`cpu`).
/^[a-z]/ { file = /^torch==/ ? "torch.lock" : /^(cuda|nvidia|triton)/ ? "/dev/null" : "requirements.lock" }
/^torch==/ {
	print $1 " ; sys_platform == 'linux' --hash=sha256:" cpu > file
	$0 = $1 " ; sys_platform != 'linux' \\"
}
{ print > file }
