# The gateway with the Redis that it brings up itself where none is shared. Build: docker build -t berth .
# Run: docker run --rm -p 127.0.0.1:8080:8080 -v ./berth.yaml:/etc/berth/berth.yaml:ro -v berth:/var/lib/berth berth
FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# Not `npm ci`: the lockfile names the packages of one platform only where a package has one for each.
RUN npm install --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src src
COPY scripts/copy-dashboard.mjs scripts/
RUN npm run build && npm prune --omit=dev --no-audit --no-fund

FROM node:24-bookworm-slim
# tini: PID 1 has to reap what stdio backends leave behind. git: what npx may want.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates git redis-server tini \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -o 1000 -g 1000 /home/berth /var/lib/berth /etc/berth
# HOME is writable also where the root is read-only and a volume is mounted there: npx keeps the stdio backends in it.
ENV NODE_ENV=production HOME=/home/berth BERTH_DATA_DIR=/var/lib/berth
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
# By number: Kubernetes can tell that it is not root.
USER 1000:1000
EXPOSE 8080 8081
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8080/readyz').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["tini", "--", "node", "--enable-source-maps", "/app/dist/main.js"]
CMD ["serve", "--config", "/etc/berth/berth.yaml"]
