// Command skiff is the operator's one binary: it packs a model into a signed
// bundle, looks into it, runs it, serves it to a fleet, and can be a device too.
//
// There is one file per command, named like it. A command reads its flags and
// makes one call into packager, runtime, agent or fleet; what several commands
// share is in inputs.go (texts), model.go (MODEL and BUNDLE), pull.go (a MODEL on
// a hub), keys.go and progress.go. Results go to standard output, progress and
// logs to standard error. What is more than flags and printing belongs into one of
// the five trees.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"skiff/formats/wire"
)

// The exit statuses.
const (
	statusDone   = 0
	statusFailed = 1
	statusUsage  = 2
)

// grace is how long a command may take to stop after an interrupt. What has not
// stopped by then waits for something that cannot be interrupted, such as a line
// from a terminal.
const grace = 900 * time.Millisecond

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		<-ctx.Done()
		stop() // a second interrupt kills at once
		select {
		case <-done: // leaving takes time too, and the status of what has ended stands
		case <-time.After(grace):
			os.Exit(statusFailed)
		}
	}()
	status := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	close(done)
	os.Exit(status)
}

// run executes one command line and returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	began := false
	root := newRoot(&began)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	var wrong usageError
	switch {
	case err == nil:
		return statusDone
	case !began || errors.As(err, &wrong):
		fmt.Fprintf(plain{stderr}, "%s: %v\nRun '%s --help' for its use.\n", cmd.CommandPath(), err, cmd.CommandPath())
		return statusUsage
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		fmt.Fprintf(stderr, "%s: interrupted\n", cmd.CommandPath())
		return statusFailed
	}
	fmt.Fprintf(plain{stderr}, "%s: %v\n", cmd.CommandPath(), err)
	return statusFailed
}

// newRoot builds the tree of commands. began becomes true when the flags and
// arguments were right and the command itself starts.
func newRoot(began *bool) *cobra.Command {
	root := group("skiff", "One small signed bundle from a distilled transformer, shipped to many devices and run there",
		newPack(), newInspect(), newVerify(), newRun(), newTokenize(), newBench(), newServe(),
		newPush(), newDevices(), newFleet(), newDevice(), newDemo())
	root.SilenceErrors = true
	root.SilenceUsage = true
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetHelpCommand(newHelp(root))
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if err := errors.Join(cmd.ValidateRequiredFlags(), cmd.ValidateFlagGroups()); err != nil {
			return err
		}
		*began = true
		return nil
	}
	return root
}

// group is a command that only holds others; used alone it is wrong use.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(cmd.ErrOrStderr())
			return errors.Join(cmd.Help(), usageError{errors.New("a command is missing")})
		},
	}
	cmd.AddCommand(commands...)
	return cmd
}

// newHelp explains the command that its arguments name, as --help does.
func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Explain a command",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return usageError{fmt.Errorf("unknown command %q", strings.Join(args, " "))}
			}
			return cmd.Help()
		},
	}
}

// usageError is a wrong command line that only the command itself could see.
type usageError struct{ error }

// checkID makes a flag that is no id wrong use.
func checkID(flag, value string) error {
	if !wire.ValidID(value) {
		return usageError{fmt.Errorf("--%s %q: want 1 to 64 characters of [A-Za-z0-9_-]", flag, value)}
	}
	return nil
}

// required marks flags without which a command is wrong use.
func required(cmd *cobra.Command, names ...string) *cobra.Command {
	for _, name := range names {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag is defined a few lines above
		}
	}
	return cmd
}

// plain writes text for people: control characters, which a terminal would obey, come
// from files and devices that are not trusted, and are written as in JSON.
type plain struct{ w io.Writer }

// Write writes whole characters.
func (p plain) Write(text []byte) (int, error) {
	var out []byte
	for _, r := range string(text) {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			out = fmt.Appendf(out, `\u%04x`, r)
			continue
		}
		out = utf8.AppendRune(out, r)
	}
	if _, err := p.w.Write(out); err != nil {
		return 0, err
	}
	return len(text), nil
}

// printJSON writes v as one line.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
