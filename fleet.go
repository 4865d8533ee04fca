package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"skiff/fleet"
)

func newFleet() *cobra.Command {
	return group("fleet", "Run the server of a fleet", newFleetServe())
}

func newFleetServe() *cobra.Command {
	var cfg fleet.Config
	cmd := &cobra.Command{
		Use:   "serve --data DIR",
		Short: "Run broker, state, delivery and HTTP interface in one process",
		Long: `Run broker, state, delivery and HTTP interface in one process.

Prints one JSON line {"ready":true,"mqtt":...,"http":...} when devices and operators can reach it, and stops
at an interrupt. The HTTP interface asks nobody who they are: keep it on a loopback address.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cfg.Pace < 0 {
				return usageError{fmt.Errorf("--pace %d: want 0 or more bytes per second", cfg.Pace)}
			}
			if cfg.Product != "" {
				if err := checkID("product", cfg.Product); err != nil {
					return err
				}
			}
			cfg.Log = newLog(cmd.ErrOrStderr())
			var printed error
			cfg.Ready = func(mqtt, http string) {
				printed = printJSON(cmd.OutOrStdout(), ready{Ready: true, MQTT: mqtt, HTTP: http})
			}
			if err := fleet.Serve(cmd.Context(), cfg); err != nil {
				return stopped(cmd.Context(), err)
			}
			return printed
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.DataDir, "data", "", "`FOLDER` of the server's state, made when absent")
	f.StringVar(&cfg.MQTT, "mqtt", "127.0.0.1:1883", "`ADDRESS` for devices")
	f.StringVar(&cfg.HTTP, "http", "127.0.0.1:8080", "`ADDRESS` for operators")
	f.StringVar(&cfg.Product, "product", "", "serve only this product (default: any)")
	f.IntVar(&cfg.Pace, "pace", 0, "`BYTES` per second to one device (0: as fast as it asks)")
	return required(cmd, "data")
}
