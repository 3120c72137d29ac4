package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Failure is an error with a name, as retry policies know it.
type Failure struct{ Name string }

func (f Failure) Error() string { return "asked to fail" }

// What this worker can do, by kind. A handler gives way when its context is done.
var handlers = map[string]func(context.Context, []byte) (any, error){"work": work}

// {"seconds": 0.5} takes that long and gives its payload back; {"fail": "NoSuchFile"} fails so.
func work(ctx context.Context, payload []byte) (any, error) {
	var asked map[string]any
	if err := json.Unmarshal(payload, &asked); err != nil {
		return nil, err
	}
	seconds, _ := asked["seconds"].(float64)
	select {
	case <-time.After(time.Duration(seconds * float64(time.Second))):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if name, ok := asked["fail"].(string); ok {
		return nil, Failure{name}
	}
	return asked, nil
}

func nameOf(err error) string {
	var failure Failure
	if errors.As(err, &failure) {
		return failure.Name
	}
	return "Error"
}
