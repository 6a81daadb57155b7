# Divides what uv resolved: torch.lock for PyTorch, requirements.lock for all else but CUDA.
# On Linux PyPI's torch does not load without 2.7 GB of CUDA, so there only PyTorch's own build without it will do (`cpu`).
/^[a-z]/ { file = /^torch==/ ? "torch.lock" : /^(cuda|nvidia|triton)/ ? "/dev/null" : "requirements.lock" }
/^torch==/ {
	print $1 " ; sys_platform == 'linux' --hash=sha256:" cpu > file
	$0 = $1 " ; sys_platform != 'linux' \\"
}
{ print > file }
