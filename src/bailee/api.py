"""Which API of a model's provider a request speaks: its name, for whoever routes, keeps or reads.

What an API's requests and answers look like is known in `bailee.apis`, and nowhere else.
"""

from __future__ import annotations

from enum import StrEnum


class Api(StrEnum):
    """An API in which a client talks with a model. The values are stored: they do not change."""

    MESSAGES = "messages"
    """Anthropic's Messages API, also by Bedrock's `invoke` and Vertex's `rawPredict`."""
    CONVERSE = "converse"
    """Amazon Bedrock's Converse and ConverseStream."""
    RESPONSES = "responses"
    """OpenAI's Responses API."""
    CHAT = "chat"
    """OpenAI's Chat Completions, which many providers speak."""
    GEMINI = "gemini"
    """Google's generateContent and streamGenerateContent, also on Vertex AI and Code Assist."""
