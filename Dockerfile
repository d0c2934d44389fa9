# One image for web and worker: `python -m web` unless another command is given.

FROM node:24-slim AS client
WORKDIR /build/client
COPY client/package.json client/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY client/ ./
RUN npm run build

FROM python:3.11-slim
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY requirements.txt ./
RUN pip install --no-cache-dir -r requirements.txt
COPY jobcast/ jobcast/
COPY tasks/ tasks/
COPY web/ web/
COPY worker/ worker/
COPY examples/ examples/
COPY --from=client /build/jobcast/flask/static/ jobcast/flask/static/
# The only place that is written to: the database file and published media, unless they are elsewhere.
RUN useradd --system --uid 10001 jobcast && install -d -o jobcast var
USER jobcast
VOLUME /app/var
EXPOSE 5000
CMD ["python", "-m", "web"]
