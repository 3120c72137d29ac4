// Submits steps and prints what became of each, a line of JSON: submitter COUNT [PAYLOAD].
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"example.com/fleetq/fleet"
	pb "example.com/fleetq/gen/fleetq/v1"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	batch = 1000
	wait  = 20 * time.Second
	limit = 5 * time.Second
)

func submit(ctx context.Context, steps pb.StepServiceClient, payloads [][]byte) ([]string, error) {
	var ids []string
	for len(payloads) > 0 {
		count := min(batch, len(payloads))
		// Repeated with the same request id, a batch whose answer was lost is not taken twice.
		request := &pb.SubmitStepsRequest{RequestId: fleet.NewID()}
		for _, payload := range payloads[:count] {
			request.Steps = append(request.Steps, &pb.NewStep{Kind: "work", Payload: payload})
		}
		answer, err := fleet.Call(ctx, limit, steps.SubmitSteps, request)
		if err != nil {
			return nil, err
		}
		for _, step := range answer.Steps {
			ids = append(ids, step.StepId)
		}
		payloads = payloads[count:]
	}
	return ids, nil
}

// Prints each step as it ends. → whether all completed
func follow(ctx context.Context, steps pb.StepServiceClient, ids []string) (bool, error) {
	good := true
	open := map[string]bool{}
	for _, id := range ids {
		open[id] = true
	}
	for len(open) > 0 {
		request := &pb.WaitStepsRequest{Wait: durationpb.New(wait), Any: true}
		for id := range open {
			if len(request.StepIds) < batch {
				request.StepIds = append(request.StepIds, id)
			}
		}
		answer, err := fleet.Call(ctx, wait+limit, steps.WaitSteps, request)
		if err != nil {
			return false, err
		}
		for _, end := range answer.Ended {
			delete(open, end.StepId)
			good = good && end.State == pb.StepState_STEP_STATE_COMPLETED
			tell(end)
		}
	}
	return good, nil
}

func tell(end *pb.EndedStep) {
	line := map[string]any{"step_id": end.StepId, "state": end.State.String(), "attempt": end.Attempt}
	if end.Error != "" {
		line["error"] = end.Error
	}
	if end.GetResult().GetJson() {
		line["value"] = json.RawMessage(end.Result.Data)
	}
	text, _ := json.Marshal(line)
	fmt.Println(string(text))
}

func main() {
	count, payload := 1, map[string]any{}
	if len(os.Args) > 1 {
		count, _ = strconv.Atoi(os.Args[1])
	}
	if len(os.Args) > 2 {
		if err := json.Unmarshal([]byte(os.Args[2]), &payload); err != nil {
			log.Fatalf("submitter: payload: %v", err)
		}
	}
	var payloads [][]byte
	for n := range count {
		payload["n"] = n
		data, _ := json.Marshal(payload)
		payloads = append(payloads, data)
	}
	connection, err := fleet.Connect()
	if err != nil {
		log.Fatalf("submitter: %v", err)
	}
	steps := pb.NewStepServiceClient(connection)
	ids, err := submit(context.Background(), steps, payloads)
	if err != nil {
		log.Fatalf("submitter: %v", err)
	}
	good, err := follow(context.Background(), steps, ids)
	if err != nil {
		log.Fatalf("submitter: %v", err)
	}
	if !good {
		os.Exit(1)
	}
}
