"""The engine for OpenAI-compatible servers: vLLM, SGLang, TGI, llama.cpp, Ollama, hosted ones."""
