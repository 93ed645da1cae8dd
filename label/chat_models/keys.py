"""Keys of providers: read from the environment, wrapped so that no repr, log or traceback shows them."""

from pydantic import SecretStr
from pydantic_settings import BaseSettings


class ProviderKeys(BaseSettings):
    """The keys this process was started with."""

    openai_api_key: SecretStr | None = None
    anthropic_api_key: SecretStr | None = None
