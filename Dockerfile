# Web server and worker in one image; compose.yaml says which command each runs.

FROM node:22-slim AS charts
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev

FROM python:3.11-slim
WORKDIR /app
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 OUTPUTS_URL=/data
COPY requirements.txt ./
RUN pip install --no-cache-dir --require-hashes -r requirements.txt
COPY --from=charts /app/node_modules node_modules
COPY CHANGELOG.md manage.py ./
COPY tvproject tvproject
COPY datasets datasets
COPY templates templates
COPY static static
COPY samplefeed samplefeed

# A new volume takes the owner of its folder here.
RUN useradd --create-home --uid 1000 bars && mkdir /data /backups && chown bars /data /backups
USER bars
VOLUME /data
EXPOSE 8000
# `prepare` is quick when there is nothing to do.
CMD ["sh", "-c", "python -m tvproject.prepare && exec python -m tvproject.server --host 0.0.0.0 --port 8000"]
