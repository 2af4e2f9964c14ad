#!/bin/sh
# Fetches GraphiQL's files from npm (all MIT) into assets/graphiql, compressed, with their licences.
set -eu
target=$(cd "$(dirname "$0")/.." && pwd)/assets/graphiql
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent graphiql@3.8.3 react@18.3.1 react-dom@18.3.1 graphql@16 graphql-ws@5.16.2
for file in graphiql/graphiql.min.js graphiql/graphiql.min.css react/umd/react.production.min.js \
    react-dom/umd/react-dom.production.min.js graphql-ws/umd/graphql-ws.min.js; do
    gzip -9nc "node_modules/$file" > "$target/$(basename "$file").gz"
done
for package in graphiql react react-dom graphql-ws; do
    cp "node_modules/$package"/LICENSE* "$target/LICENSE.$package"
done
ls -l "$target"
