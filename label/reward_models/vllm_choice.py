"""What `vllm:…` stands for: servers where an address is given, else the engine in this process."""

from label.reward_model import RewardChoice, RewardModel


def open_vllm(choice: RewardChoice) -> RewardModel:
    """The server or the engine."""
    if choice.base_urls or choice.model.startswith(("http://", "https://")):
        from label.reward_models.server import open_server

        return open_server(choice)
    from label.reward_models.engine import open_engine

    return open_engine(choice)
