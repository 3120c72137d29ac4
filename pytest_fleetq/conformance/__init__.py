"""`fleetq conformance`: does a worker in another language keep the protocol?"""
