#!/bin/sh
# The vehicle management system of the demo: publishes the events of /opt/demo once, then prints every
# message that it is told. AMQP_URL, or the file that AMQP_URL_FILE names, says where the broker is,
# AGENT_READY when the agent is.
set -eu
url=${AMQP_URL:-$(cat "$AMQP_URL_FILE")}
inbox=${VMS_INBOX:-vms.inbox}

# As process 1 a shell ends at SIGTERM only if it says so.
trap 'exit 0' TERM INT
until amqp-declare-queue --url="$url" --queue="$inbox" --durable >/dev/null 2>&1; do
    echo 'vms: the broker does not answer yet'
    sleep 1
done
# The agent declares the queue; what is published before goes nowhere, and the broker does not say so.
until curl -fsS "$AGENT_READY" >/dev/null 2>&1; do
    echo 'vms: the agent is not ready yet'
    sleep 1
done
for event in /opt/demo/events/*.json; do
    amqp-publish --url="$url" --routing-key=vms.status --persistent --body="$(cat "$event")"
    echo "vms: published $(basename "$event")"
done
while :; do
    amqp-get --url="$url" --queue="$inbox" 2>/dev/null && echo || sleep 1 &
    wait $!
done
