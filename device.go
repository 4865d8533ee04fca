package main

import (
	"errors"

	"github.com/spf13/cobra"

	"skiff/agent"
	"skiff/packager"
	"skiff/runtime/infer"
)

func newDevice() *cobra.Command {
	return group("device", "Be a device", newDeviceRun())
}

func newDeviceRun() *cobra.Command {
	var cfg agent.Config
	var engine infer.Config
	var trust string
	cmd := &cobra.Command{
		Use:   "run --data DIR --id ID",
		Short: "Be a device of the fleet: fetch, prove, switch and answer (the code of skiffd)",
		Long: `Be a device of the fleet: fetch, prove, switch and answer (the code of skiffd).

Prints one JSON line {"ready":true,"http":...} when its local API answers, and stops at an interrupt. Without
--broker it answers with what it holds.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := checkEngine(engine); err != nil {
				return err
			}
			if cfg.Trust, err = trusted(trust); err != nil {
				return err
			}
			cfg.Kernels, cfg.Workers = engine.Kernels, engine.Workers
			cfg.Log = newLog(cmd.ErrOrStderr())
			var printed error
			cfg.Ready = func(addr string) { printed = printJSON(cmd.OutOrStdout(), ready{Ready: true, HTTP: addr}) }
			if err := agent.Run(cmd.Context(), cfg); err != nil {
				if errors.Is(err, agent.ErrConfig) {
					return usageError{err}
				}
				return stopped(cmd.Context(), err)
			}
			return printed
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.DataDir, "data", "", "`FOLDER` of everything that must survive a restart")
	f.StringVar(&cfg.ID, "id", "", "the device's id: letters, digits, _ and -")
	f.StringVar(&cfg.Broker, "broker", "", "`URL` of the MQTT broker, mqtt://host:port or tls://host:port (default: no network)")
	f.StringVar(&cfg.Product, "product", packager.DefaultProduct, "product the device is of")
	f.StringVar(&cfg.Channel, "channel", "stable", "channel it follows")
	addressFlags(cmd, &cfg.HTTP, &cfg.Socket)
	trustFlag(cmd, &trust)
	engineFlags(cmd, &engine)
	return required(cmd, "data", "id")
}
