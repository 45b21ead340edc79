#!/usr/bin/env bats
# What does hack/kind do, in which order, and what does it say when something is missing? With stubs.

setup() {
  top=$BATS_TEST_DIRNAME/../..
  export STUB_CALLS=$BATS_TEST_TMPDIR/calls STUB_CLUSTERS=$BATS_TEST_TMPDIR/clusters
  export STUB_TARGET=$BATS_TEST_TMPDIR/target GER_KIND_STATE=$BATS_TEST_TMPDIR/state
  export GER_IMAGES=$BATS_TEST_TMPDIR/images
  mkdir -p "$BATS_TEST_TMPDIR/bin" "$STUB_TARGET/dist" "$GER_IMAGES"
  for name in docker podman kind helm kubectl cargo; do stand_in "$name"; done
  for name in bash sh env dirname basename grep sed awk tr cat cut mkdir mv rm sort jq; do
    ln -s "$(command -v "$name")" "$BATS_TEST_TMPDIR/bin/$name"
  done
  cp "$BATS_TEST_DIRNAME/stub" "$STUB_TARGET/dist/git-events-runner"
  : >"$STUB_CALLS"
  : >"$STUB_CLUSTERS"
  # What hack/tools brings would be found before the stubs.
  mkdir -p "$BATS_TEST_TMPDIR/tree/hack"
  cp "$top/hack/kind" "$BATS_TEST_TMPDIR/tree/hack/kind"
  for name in kind-configs charts images; do ln -s "$top/$name" "$BATS_TEST_TMPDIR/tree/$name"; done
  kind=$BATS_TEST_TMPDIR/tree/hack/kind
  # Nothing else of this machine is found: a real docker would be called.
  PATH=$BATS_TEST_TMPDIR/bin
}

stand_in() { cp "$BATS_TEST_DIRNAME/stub" "$BATS_TEST_TMPDIR/bin/$1"; }

calls() { grep -c -- "$1" "$STUB_CALLS" || true; }

line() { grep -n -m 1 -- "$1" "$STUB_CALLS" | cut -d : -f 1; }

@test "up creates a hub and two spokes, and joins them" {
  run "$kind" up

  [ "$status" -eq 0 ] || { echo "$output"; false; }
  [ "$(cat "$STUB_CLUSTERS")" = $'ger-hub\nger-spoke-1\nger-spoke-2' ]
  [ "$(calls '^kind load image-archive .*/git-events-runner.tar --name ger-hub$')" = 1 ]
  [ "$(calls '^kind load image-archive')" = 7 ]
  [ "$(calls '^helm --kube-context=kind-ger-hub upgrade --install git-events-runner charts/git-events-runner ')" = 1 ]
  for spoke in 1 2; do
    [ "$(calls "^git-events-runner cluster add spoke-$spoke --context kind-ger-spoke-$spoke --hub-context kind-ger-hub .*--server https://ger-spoke-$spoke-control-plane:6443")" = 1 ]
  done
}

@test "the hub is installed when its images are there, and spokes are added when it runs" {
  run "$kind" up

  [ "$status" -eq 0 ]
  images=$(line 'kind load image-archive')
  hub=$(line 'install git-events-runner')
  spoke=$(line 'cluster add spoke-1')
  [ "$images" -lt "$hub" ] && [ "$hub" -lt "$spoke" ]
}

@test "up again creates nothing, and mends the rest" {
  "$kind" up
  : >"$STUB_CALLS"

  run "$kind" up

  [ "$status" -eq 0 ]
  [ "$(calls '^kind create')" = 0 ]
  [ "$(calls '^kind export kubeconfig')" = 3 ]
  [ "$(calls 'cluster add')" = 2 ]
}

@test "what is missing is named with how to get it, all at once" {
  rm "$BATS_TEST_TMPDIR/bin/kind" "$BATS_TEST_TMPDIR/bin/helm"

  run "$kind" up

  [ "$status" -eq 1 ]
  [[ $output == *'kind is missing: go install'* ]]
  [[ $output == *'helm is missing: run hack/tools'* ]]
  [ "$(calls create)" = 0 ]
}

@test "an engine that does not answer is told from one that is missing" {
  STUB_FAILS='docker info' run "$kind" up

  [ "$status" -eq 1 ]
  [[ $output == *'docker does not answer'* ]]
}

@test "podman takes docker's place" {
  rm "$BATS_TEST_TMPDIR/bin/docker"

  KIND_EXPERIMENTAL_PROVIDER=podman run "$kind" up

  [ "$status" -eq 0 ] || { echo "$output"; false; }
}

@test "a step that fails ends it" {
  STUB_FAILS='helm *install git-events-runner *' run "$kind" up

  [ "$status" -ne 0 ]
  [ "$(calls 'cluster add')" = 0 ]
}

@test "another Kubernetes is asked for by its image" {
  KIND_IMAGE=kindest/node:v1.35.0 run "$kind" up

  [ "$(calls '^kind create .* --image kindest/node:v1.35.0$')" = 3 ]
}

@test "the stories are told where hub, spokes, ingress and this machine are" {
  "$kind" up

  run "$kind" e2e

  [ "$status" -eq 0 ] || { echo "$output"; false; }
  grep -qx "GER_E2E_HUB=$GER_KIND_STATE/hub.kubeconfig" "$STUB_CALLS"
  grep -qx "GER_E2E_SPOKES=$GER_KIND_STATE/spoke-1.kubeconfig:$GER_KIND_STATE/spoke-2.kubeconfig" "$STUB_CALLS"
  grep -qx GER_E2E_WEBHOOKS=http://127.0.0.1:8088 "$STUB_CALLS"
  grep -qx GER_E2E_ADDRESS=172.18.0.1 "$STUB_CALLS"
  grep -qx 'kubeconfig of kind-ger-spoke-2' "$GER_KIND_STATE/spoke-2.kubeconfig"
}

@test "without an ingress webhooks come by a forwarded port" {
  GER_INGRESS=none "$kind" up

  GER_INGRESS=none run "$kind" e2e

  [ "$status" -eq 0 ] || { echo "$output"; false; }
  [ "$(calls traefik)" = 0 ]
  grep -qx GER_E2E_WEBHOOKS=http://127.0.0.1:8089 "$STUB_CALLS"
}

@test "stories that fail are told by the exit code" {
  "$kind" up

  STUB_FAILS='cargo test *' run "$kind" e2e

  [ "$status" -ne 0 ]
}

@test "no stories are no success" {
  "$kind" up

  STUB_STORIES='' run "$kind" e2e

  [ "$status" -eq 1 ]
  [[ $output == *'no stories'* ]]
}

@test "nothing is loaded and no story told where there are no clusters" {
  for step in load e2e; do
    run "$kind" "$step"

    [ "$status" -eq 1 ]
    [[ $output == *'hack/kind up'* ]]
  done
}

@test "load restarts the hub's replicas with the new images" {
  "$kind" up
  : >"$STUB_CALLS"

  run "$kind" load

  [ "$status" -eq 0 ]
  [ "$(calls '^kind load image-archive')" = 7 ]
  [ "$(line 'kind load')" -lt "$(line 'rollout restart deployment/git-events-runner')" ]
}

@test "down deletes our clusters and no others" {
  "$kind" up
  echo somebody-elses >>"$STUB_CLUSTERS"

  run "$kind" down

  [ "$status" -eq 0 ]
  [ "$(cat "$STUB_CLUSTERS")" = somebody-elses ]
  [ ! -e "$GER_KIND_STATE" ]
}

@test "what nobody knows is answered with what there is" {
  run "$kind" sideways

  [ "$status" -eq 2 ]
  [[ $output == *'hack/kind up'* ]]
}
