package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"skiff/formats/bundle"
)

// The child of TestCrash runs this script on a store, for ever; each line it prints is a promise that the step is on disk.
func script(s *Store, say func(string)) error {
	one, two := build(nothing{}, "one", "a", "b", "c"), build(nothing{}, "two", "b", "c", "d")
	for round := 0; ; round++ {
		for _, b := range []*bundle.Bundle{one, two} {
			if err := install(s, b, say); err != nil {
				return err
			}
			state := fmt.Sprintf("%d %s", round, b.Digest())
			if err := s.SetState([]byte(state)); err != nil {
				return err
			}
			say("state " + state)
			if _, err := s.Collect(context.Background(), []bundle.Digest{b.Digest()}); err != nil {
				return err
			}
			say("collected")
		}
	}
}

func install(s *Store, b *bundle.Bundle, say func(string)) error {
	if err := s.PutEnvelope(b.Digest(), b.Envelope); err != nil {
		return err
	}
	say("envelope")
	for i, part := range b.Parts {
		if err := s.PutPart(b.Manifest.IndexParts[i].Digest, part); err != nil {
			return err
		}
		say("part")
	}
	for i := range b.Index {
		c := chunk(nothing{}, b, i)
		s.Arrived(c.Digest, len(c.Data))
		if err := s.PutChunks([]Chunk{c}); err != nil {
			return err
		}
		say("chunk " + c.Digest.String())
	}
	return nil
}

// nothing is a testing.TB for the child, which has no test to fail.
type nothing struct{ testing.TB }

func (nothing) Helper()           {}
func (nothing) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

// TestMain turns the test binary into the child.
func TestMain(m *testing.M) {
	dir := os.Getenv("SKIFF_STORE_CHILD")
	if dir == "" {
		os.Exit(m.Run())
	}
	s, err := Open(Config{Dir: dir})
	if err == nil {
		fmt.Println("open")
		err = script(s, func(step string) { fmt.Println(step) })
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(3)
}

// TestCrash kills the child with SIGKILL after each of its first steps in turn (the kill lands somewhere in the next one), on one store
// that lives on, and reopens it: pages whole, every value what its name says, the promised state there or a later one, and the bundle
// it points to complete.
func TestCrash(t *testing.T) {
	dir := t.TempDir()
	kills := 40
	if testing.Short() {
		kills = 16
	}
	newest := -1
	for k := range kills {
		steps, err := runChild(t, dir, 1+k)
		if err != nil {
			t.Fatal(err)
		}
		newest = reopen(t, dir, steps, newest)
	}
	if newest < 0 {
		t.Error("no run came as far as a state")
	}
}

// runChild runs the child until it has said n lines, and kills it.
func runChild(t *testing.T, dir string, n int) ([]string, error) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "SKIFF_STORE_CHILD="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := child.Start(); err != nil {
		return nil, err
	}
	var steps []string
	lines := bufio.NewScanner(out)
	for len(steps) < n && lines.Scan() {
		steps = append(steps, lines.Text())
	}
	if err := child.Process.Kill(); err != nil {
		return nil, err
	}
	for lines.Scan() { // what it said before the kill arrived is promised too
		steps = append(steps, lines.Text())
	}
	var exit *exec.ExitError
	if err := child.Wait(); !errors.As(err, &exit) || exit.ExitCode() == 3 {
		return nil, fmt.Errorf("child ended by itself: %w", err)
	}
	return steps, nil
}

// reopen checks the store against the promises, and returns the round of its state.
func reopen(t *testing.T, dir string, steps []string, newest int) int {
	t.Helper()
	s, err := Open(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Damage != "" {
		t.Fatalf("after %q: %s", steps, s.Damage)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Fatalf("after %q: %v", steps, err)
	}
	var promised string
	for _, step := range steps {
		if state, ok := strings.CutPrefix(step, "state "); ok {
			promised = state
		}
	}
	state, err := s.State()
	if errors.Is(err, ErrMissing) && promised == "" && newest < 0 {
		return newest
	}
	if err != nil {
		t.Fatalf("after %q: %v", steps, err)
	}
	number, name, _ := strings.Cut(string(state), " ")
	round, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	if promised != "" && promised > string(state) {
		t.Errorf("state %q, promised %q", state, promised)
	}
	d, err := bundle.ParseDigest(name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Bundle(d, nil)
	if err != nil {
		t.Fatalf("active bundle after %q: %v", steps, err)
	}
	if err := b.VerifyAll(t.Context()); err != nil {
		t.Errorf("active bundle after %q: %v", steps, err)
	}
	return round
}
