# Telltale with everything it shows, for processors without a graphics card. docs/deploying.md says how to run it.
FROM python:3.11-slim

# A package index whose PyTorch comes without graphics-card libraries, which make the image several gigabytes larger.
ARG TORCH_INDEX=

ENV PORT=8501 \
    PYTHONPATH=/app/core:/app/app \
    PYTHONUNBUFFERED=1 \
    TELLTALE_CACHE=/data/cache \
    TELLTALE_CASES=/data/cases.sqlite

WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} -r requirements.txt

COPY . .
RUN python -m compileall -q app core \
    && useradd --create-home --uid 10001 telltale \
    && install --directory --owner telltale /data
USER 10001
VOLUME /data
EXPOSE 8501

HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; e = os.environ; b = e.get('STREAMLIT_SERVER_BASE_URL_PATH', '').strip('/'); u.urlopen('http://127.0.0.1:' + '/'.join(filter(None, (e['PORT'], b, '_stcore/health'))), timeout=4)"]
CMD ["sh", "-c", "exec streamlit run app/server.py --server.port $PORT --server.address 0.0.0.0 --server.headless true"]
