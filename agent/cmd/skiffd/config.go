package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"skiff/agent"
	"skiff/runtime/engine"
)

// maxConfig bounds a configuration file, in bytes.
const maxConfig = 1 << 20

// flags declares every setting once: the names are those of the command line and of the file.
func flags(c *agent.Config, file *string, level *slog.Level, stderr io.Writer) *flag.FlagSet {
	f := flag.NewFlagSet("skiffd", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(file, "config", "", "file of `name = value` lines; flags go before it")
	f.StringVar(&c.DataDir, "data", "", "folder of everything that must survive a restart")
	f.StringVar(&c.Broker, "broker", "", "tcp://host:port or tls://host:port; empty: no network")
	f.StringVar(&c.ID, "id", "", "device id, [A-Za-z0-9_-]")
	f.StringVar(&c.Product, "product", "", "product of this device (default \"default\")")
	f.StringVar(&c.Channel, "channel", "", "channel to follow (default \"stable\")")
	f.StringVar(&c.Slot, "slot", "", "model slot (default \"default\")")
	f.StringVar(&c.HTTP, "http", "", "address of the local API (default: a free loopback port)")
	f.StringVar(&c.Socket, "socket", "", "path of a Unix socket for the local API, instead of --http")
	f.StringVar(&c.TrustFile, "trust", "", "file of the public keys to believe")
	f.StringVar(&c.Kernels, "kernels", os.Getenv("SKIFF_KERNELS"), "one of "+strings.Join(engine.Names(), ", ")+"; they differ in speed, not in bits")
	f.IntVar(&c.Workers, "workers", 0, "workers of the model; 0: one per CPU, at most 4")
	f.Int64Var(&c.MaxStore, "max-store", 0, "bytes the store may take; 0: as the disk allows")
	f.TextVar(level, "log", slog.LevelInfo, "debug, info, warn or error")
	return f
}

// configure reads flags, then the file for what no flag named.
func configure(args []string, stderr io.Writer) (agent.Config, slog.Level, error) {
	var c agent.Config
	var file string
	var level slog.Level
	f := flags(&c, &file, &level, stderr)
	if err := f.Parse(args); err != nil {
		return c, level, err
	}
	if f.NArg() > 0 {
		return c, level, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if file == "" {
		return c, level, nil
	}
	r, err := os.Open(file)
	if err != nil {
		return c, level, err
	}
	defer r.Close()
	if err := readFile(f, io.LimitReader(r, maxConfig)); err != nil {
		return c, level, fmt.Errorf("%s: %w", file, err)
	}
	return c, level, nil
}

// readFile sets what no flag has set. The lines are a subset of TOML: comments, name = "text", name = number.
func readFile(f *flag.FlagSet, r io.Reader) error {
	given := map[string]bool{"config": true}
	f.Visit(func(x *flag.Flag) { given[x.Name] = true })
	seen := map[string]bool{}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		name, value, err := parseLine(lines.Text())
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		switch {
		case name == "":
			continue
		case name == "config" || f.Lookup(name) == nil:
			return fmt.Errorf("line %d: unknown setting %q", n, name)
		case seen[name]:
			return fmt.Errorf("line %d: %q comes twice", n, name)
		}
		seen[name] = true
		if given[name] {
			continue
		}
		if err := f.Set(name, value); err != nil {
			return fmt.Errorf("line %d: %s: %w", n, name, err)
		}
	}
	return lines.Err()
}

// parseLine returns an empty name for a line that says nothing.
func parseLine(line string) (name, value string, err error) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return "", "", nil
	}
	name, value, ok := strings.Cut(line, "=")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	if !ok || name == "" {
		return "", "", errors.New("want name = value")
	}
	if value == "" || value[0] != '"' {
		bare, _, _ := strings.Cut(value, "#")
		return name, strings.TrimSpace(bare), nil
	}
	quoted, err := strconv.QuotedPrefix(value)
	if err != nil {
		return "", "", fmt.Errorf("%s: text without its closing quote", name)
	}
	if rest := strings.TrimSpace(value[len(quoted):]); rest != "" && rest[0] != '#' {
		return "", "", fmt.Errorf("%s: %q after the text", name, rest)
	}
	value, err = strconv.Unquote(quoted)
	return name, value, err
}
