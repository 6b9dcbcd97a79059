module shop/gateway

go 1.26
