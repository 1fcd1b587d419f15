# Standdown's worker and commands. Build: docker build -t standdown .
# Run: docker run --env-file .env -e REDIS_URL=redis://… --read-only --tmpfs /tmp standdown

FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# Install scripts are left out: the only one that runs in a checkout fetches a Node.js, which this image has.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build

FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24-slim
# The root file system may be read-only: submit keeps ids in the data folder while it checks a file, nothing else is written.
ENV NODE_ENV=production \
    STANDDOWN_DATA_DIR=/data
RUN mkdir -m 700 /data && chown node:node /data
WORKDIR /app
COPY package.json LICENSE ./
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
VOLUME /data
USER node

# A worker's health; the commands do not serve it. The port is the container's own loopback, so nothing can collide with it.
ENV HEALTH_PORT=8086
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.HEALTH_PORT + '/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]

# A worker that is told to stop takes no new job and finishes the calls in flight, which takes up to CALL_TIMEOUT (30 s by
# default). Give it longer than that before it is killed: docker stop -t 45, stop_grace_period: 45s.
STOPSIGNAL SIGTERM
# The memory holds credentials: it is neither written to a core file (Kubernetes has no setting for that) nor opened to a
# debugger by SIGUSR1.
ENTRYPOINT ["sh", "-c", "ulimit -c 0; exec node --disable-sigusr1 /app/dist/cli.js \"$@\"", "standdown"]
CMD ["worker"]
