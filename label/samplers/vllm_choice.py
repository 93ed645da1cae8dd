"""What `vllm:…` stands for: a server where an address is given, else the engine in this process."""

from label.sampler import Sampler, SamplerChoice


def open_vllm(choice: SamplerChoice) -> Sampler:
    """The server or the engine."""
    if choice.base_urls or choice.model.startswith(("http://", "https://")):
        from label.samplers.server import open_vllm_server

        return open_vllm_server(choice)
    from label.samplers.engine import open_engine

    return open_engine(choice)
